"""A variant that is not always awake: it does as the owner says, and requests wait for it.

What it is told is when it may be awake at all. When it leaves is its own to see: not before those
that waited for it are served, and never with a request open.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp

from services.engine.child import EngineChild
from services.engine.life_cycle import State
from services.engine.supervisor import Supervisor
from services.http.asgi import Receive
from services.http.connection import WhileConnected
from services.http.errors import RequestError
from services.residency.decision import Phase, leaves_at_s
from services.residency.owner import Report

# For how long a variant without open requests stays while another is waited for.
LINGER_S = 1.0
RETRY_S = 0.5
# The wait is a part of the time that a request may take; what is left is for its answer.
WAIT_SHARE = 0.9
_PHASES = {
    State.READY: Phase.AWAKE,
    State.STARTING: Phase.WAKING,
    State.WAKING: Phase.WAKING,
    State.LEAVING: Phase.LEAVING,
    State.DRAINING: Phase.LEAVING,
}
# A request is not to be kept for these: nothing will change them.
_OVER = frozenset({State.FAILED, State.STOPPED, State.DRAINING})
Ask = Callable[[Report], Awaitable[bool]]


class OwnerGoneError(Exception):
    """Nobody says who may be awake: the owner is being replaced."""


class Resident:
    """Wakes one variant, lets it sleep, and keeps its requests meanwhile.

    ``ask`` is the owner's ``tell``; it raises OwnerGoneError where there is none for the moment.
    """

    def __init__(self, supervisor: Supervisor, ask: Ask) -> None:
        self.waiting = self.wakes = 0
        self._supervisor = supervisor
        self._settings = supervisor.settings
        self._ask = ask
        self._born_ns, self._count = time.time_ns(), 0
        self._may_be_awake = self._proven = False
        self._open = 0
        self._awake_since_s = self._idle_since_s = time.monotonic()
        self._changed = asyncio.Event()
        self._state = State.ASLEEP
        self._leaving: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        supervisor.rest()
        supervisor.on_change = self._note_state

    def begin(self, session: aiohttp.ClientSession) -> None:
        """Follow the owner from now on."""
        self._session = session
        self._following = asyncio.create_task(self._follow())
        self._following.add_done_callback(self._supervisor.note_end)

    async def end(self) -> None:
        """Follow nobody any more; the engine is not stopped."""
        tasks = [task for task in (self._following, self._leaving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def engine(self, receive: Receive) -> AsyncIterator[EngineChild]:
        """The engine, for one request, which waits for it where it is not awake.

        Raises:
            RequestError: 503 where too many wait already, where it is not woken in time, and with
                the reason where it cannot be woken.
            ConnectionResetError: the client left while it waited.
        """
        while self._supervisor.status.state not in {State.READY, *_OVER}:
            await self._until_awake(receive)
        child = self._supervisor.ready_child()
        self._open += 1
        try:
            yield child
        finally:
            self._open -= 1
            self._idle_since_s = time.monotonic()
            if not self._open and self._leaving is not None:
                self._announce()

    async def _until_awake(self, receive: Receive) -> None:
        name, limit = self._supervisor.variant.name, max(1, self._settings.queue_length)
        if self.waiting >= limit:
            raise RequestError(503, self._is_full(limit))
        self._wait(+1)
        wait_s, left = WAIT_SHARE * self._settings.request_timeout_s, True
        try:
            async with asyncio.timeout(wait_s), WhileConnected(receive):
                await self._woken()
                left = False
        except TimeoutError:
            raise RequestError(
                503,
                f"{name} is {self._supervisor.status.state}: it was not woken within {wait_s:.0f} "
                "s, as others were asked before it or are still answering; ask again, or raise "
                "serving.request_timeout_s",
            ) from None
        finally:
            self._wait(-1)
        if left:
            raise ConnectionResetError("client left")

    def _is_full(self, limit: int) -> str:
        return (
            f"{self._supervisor.variant.name} is {self._supervisor.status.state} and {limit} "
            "requests wait for it already; ask again later, ask a variant that is awake (see "
            "/v1/models), or raise serving.queue_length"
        )

    async def _woken(self) -> None:
        """Until it is awake, or never will be."""
        while self._supervisor.status.state not in {State.READY, *_OVER}:
            await self._changed.wait()

    def _wait(self, change: int) -> None:
        was, self.waiting = self.waiting, self.waiting + change
        if not was or not self.waiting:
            self._announce()

    def _announce(self) -> None:
        """Let the owner know, and whoever waits here."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _note_state(self) -> None:
        state, before = self._supervisor.status.state, self._state
        self._state = state
        if state is State.READY and before is not State.READY:
            self._proven = True
            self._awake_since_s = time.monotonic()
        self._announce()

    async def _follow(self) -> None:
        """Ask, and do as is said; with a last report when the service stops.

        An open question would keep the owner from stopping.
        """
        while not self._report().closing:
            told = await self._asked()
            if told is not None:
                self._may_be_awake = told
                self._obey(told)
        with suppress(OwnerGoneError):
            await self._ask(self._report())

    async def _asked(self) -> bool | None:
        """What the owner says; None where we have changed meanwhile, so that it must be asked anew.

        An answer to an earlier report is never obeyed.
        """
        changed = asyncio.ensure_future(self._changed.wait())
        asking = asyncio.ensure_future(self._ask(self._report()))
        try:
            await asyncio.wait({asking, changed}, return_when=asyncio.FIRST_COMPLETED)
            if asking.cancelled():
                raise OwnerGoneError
            return asking.result() if asking.done() else None
        except OwnerGoneError:
            await asyncio.sleep(RETRY_S)
            return None
        finally:
            for task in (asking, changed):
                task.cancel()
            await asyncio.gather(asking, changed, return_exceptions=True)

    def _report(self) -> Report:
        state = self._supervisor.status.state
        self._count += 1
        return Report(
            variant=self._supervisor.variant.name,
            born_ns=self._born_ns,
            count=self._count,
            phase=_PHASES.get(state, Phase.ASLEEP),
            may_be_awake=self._may_be_awake,
            wanted=state not in _OVER and (self.waiting > 0 or not self._proven),
            proven=self._proven,
            idle_s=0.0 if self._open else time.monotonic() - self._idle_since_s,
            closing=state in {State.DRAINING, State.STOPPED},
        )

    def _obey(self, may_be_awake: bool) -> None:
        state = self._supervisor.status.state
        if may_be_awake and state is State.ASLEEP:
            self.wakes += 1
            self._supervisor.wake(self._session)
        elif may_be_awake and state is State.READY and self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        elif not may_be_awake and state is State.READY and self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())
            self._leaving.add_done_callback(self._supervisor.note_end)
            self._leaving.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        if self._leaving is task:
            self._leaving = None

    async def _leave(self) -> None:
        """Make room: take no more requests as soon as may be, finish those that are open, sleep.

        What is told meanwhile changes it up to the first of these (``_obey``).
        """
        while (left_s := self._leaves_at_s() - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
        self._supervisor.leave()
        while self._open:
            await self._changed.wait()
        await self._supervisor.sleep()

    def _leaves_at_s(self) -> float:
        return leaves_at_s(
            awake_since_s=self._awake_since_s,
            idle_since_s=None if self._open else self._idle_since_s,
            stay_s=self._settings.residency_s,
            linger_s=LINGER_S,
        )
