"""The life of one engine: brought up, proven, watched, restarted, given up.

What decides it stands in ``life_cycle``, what watches the engine in ``engine_watch``.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from quantize.artifact.manifest import ArtifactError, Manifest
from quantize.artifact_check import check_artifact
from services.engine.agreement import Agreement
from services.engine.child import LOG_MARK, STOP_GRACE_S, EngineChild, EngineError
from services.engine.engine_log import EngineLog
from services.engine.engine_settings import ReplicaSettings, launch_of
from services.engine.engine_watch import (
    first_of,
    keep_log_bounded,
    until_exit,
    until_hung,
    until_too_large,
)
from services.engine.known_artifact import KnownArtifact
from services.engine.life_cycle import End, RestartPolicy, State
from services.engine.proof import DisagreementError, prove_answers, until_proven
from services.engines.spec import HeldWeights
from services.gpus.engine_gpu import EngineGpu
from services.http.errors import RequestError
from services.variants import Variant

_LIMITS = (
    "context_length",
    "threads",
    "max_sequences",
    "queue_length",
    "kv_cache_gib",
    "memory_gib",
)
_RUNNING = frozenset({State.READY, State.LEAVING, State.DRAINING})
logger = logging.getLogger("ray.serve")


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is known of the engine that runs now (or of why none does)."""

    state: State = State.STARTING
    reason: str | None = None
    manifest: Manifest | None = None
    held: HeldWeights | None = None
    capabilities: Mapping[str, str | None] = field(default_factory=dict)
    agreement: Agreement | None = None
    start_s: float | None = None


class Supervisor:
    """Keeps one engine process running. ``check`` proves the artifact before each start."""

    def __init__(
        self,
        variant: Variant,
        settings: ReplicaSettings,
        *,
        check: Callable[[Path], Manifest] = check_artifact,
    ) -> None:
        self.variant = variant
        self.settings = settings
        # Called whenever the status is another.
        self.on_change: Callable[[], None] = lambda: None
        self._status = Status()
        self.restarts = 0
        # Whether the engine owes answers and sent nothing of any since this was last asked; whoever
        # relays them knows.
        self.is_stalled: Callable[[], bool] = lambda: False
        self._policy = RestartPolicy(
            crashes=settings.crashes_before_failed, window_s=settings.crash_window_s
        )
        self._artifact = KnownArtifact(Path(settings.artifact), check)
        self._child: EngineChild | None = None
        self._was_ready = self._draining = False
        self._task: asyncio.Task[None] | None = None

    @property
    def status(self) -> Status:
        """What is known now; facts of an engine that sleeps stay known."""
        return self._status

    @status.setter
    def status(self, status: Status) -> None:
        self._status = status
        self.on_change()

    async def start(self, session: aiohttp.ClientSession) -> None:
        """Begin to bring the engine up; returns at once."""
        self._begin(session)

    def _begin(self, session: aiohttp.ClientSession) -> None:
        self._task = asyncio.create_task(self._supervise(session))
        self._task.add_done_callback(self.note_end)

    def rest(self) -> None:
        """Begin without an engine."""
        self.status = Status(state=State.ASLEEP)

    def wake(self, session: aiohttp.ClientSession) -> None:
        """Bring the engine of a variant up that is asleep; returns at once."""
        self.status = replace(self.status, state=State.WAKING, reason=None)
        self._begin(session)

    def leave(self) -> None:
        """Take no more requests before the next time it wakes; those that are open go on."""
        if self.status.state is State.READY:
            self.status = replace(self.status, state=State.LEAVING)

    async def sleep(self) -> None:
        """Stop the engine, and everything it started, until it is woken; a failure stays one."""
        if self._task is not None and self.status.state is not State.FAILED:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.status.state is not State.FAILED and not self._draining:
            self.status = replace(self.status, state=State.ASLEEP)

    def drain(self) -> None:
        """Take no more requests; those that are open go on."""
        self._draining = True
        if self.status.state is State.STARTING or self.status.state.takes_requests:
            self.status = replace(self.status, state=State.DRAINING)

    async def stop(self) -> None:
        """Stop the engine and everything it started."""
        self.drain()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.status = Status(state=State.STOPPED)

    def note_end(self, task: asyncio.Task[None]) -> None:
        """Tell an error of our own, which would else leave the variant "starting" for ever."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(f"its supervisor broke off: {error!r}")

    def ready_child(self) -> EngineChild:
        """The engine, when it can take requests.

        Raises:
            RequestError: 503 with the state and the reason.
        """
        if self.status.state is not State.READY or self._child is None:
            # The log is for operators (healthz), not for whoever sends requests.
            why, _, _ = (self.status.reason or "").partition(LOG_MARK)
            reason = f": {why}" if why else ""
            raise RequestError(503, f"{self.variant.name} is {self.status.state}{reason}")
        return self._child

    async def _supervise(self, session: aiohttp.ClientSession) -> None:
        ends: list[End] = []
        while True:
            try:
                reason = await self._live_once(session)
            except ArtifactError as error:
                return self._fail(str(error))
            except DisagreementError as error:
                return self._fail(str(error), error.agreement)
            except (EngineError, OSError) as error:
                reason = str(error)
            if self._draining:
                self.status = Status(state=State.STOPPED, reason=reason)
                return None
            now_s = time.monotonic()
            ends.append(End(at_s=now_s, was_ready=self._was_ready))
            pause_s = self._policy.pause_s(ends, now_s)
            if pause_s is None:
                return self._fail(self._in_the_end(ends, now_s, reason))
            self.restarts += 1
            logger.warning("%s: restarting in %.1f s: %s", self.variant.name, pause_s, reason)
            self.status = Status(reason=reason)
            await asyncio.sleep(pause_s)

    async def _live_once(self, session: aiohttp.ClientSession) -> str:
        """One engine from its start to its end; returns the reason for that.

        The variant is marked dead at once, and what is left of the engine ended: only where it was
        alive and well, because we stop, it is asked to end by itself.
        """
        self._was_ready, started = False, time.monotonic()
        wakes = self.status.state is State.WAKING
        manifest = await asyncio.to_thread(self._artifact.checked, if_changed=wakes)
        log = EngineLog(Path(self.settings.log))
        scratch = log.path.with_suffix("")
        child = EngineChild(
            spec=self.variant.engine,
            launch=launch_of(self.variant, self.settings, manifest, scratch),
            log=log,
        )
        self._child, grace_s = child, STOP_GRACE_S
        try:
            child.spawn()
            proving = self._prove(child, session, started)
            reason = await first_of(proving, *self._guards(child))
            if reason is None:
                self._was_ready = True
                hung = until_hung(
                    child,
                    session,
                    timeout_s=self.settings.hang_timeout_s,
                    is_stalled=lambda: self.is_stalled(),
                )
                reason = await first_of(hung, *self._guards(child))
            grace_s = 0
            assert reason is not None
            self.status = Status(reason=reason)
            return f"{reason}{LOG_MARK}{log.tail()}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"{self.variant.engine.title}: {error!r}"
            raise EngineError(f"{reason}{LOG_MARK}{log.tail()}") from None
        finally:
            await asyncio.to_thread(child.stop, grace_s)

    def _guards(self, child: EngineChild) -> list[Coroutine[Any, Any, str | None]]:
        """What ends an engine's life at any time."""
        memory_gib = self.settings.memory_gib
        return [until_exit(child), until_too_large(child, memory_gib), keep_log_bounded(child)]

    def _in_the_end(self, ends: list[End], now_s: float, reason: str) -> str:
        """Why no more starts are made."""
        if not any(end.was_ready for end in ends):
            return reason
        count, window_s = self._policy.counted(ends, now_s), self._policy.window_s
        return f"given up after {count} failures within {window_s / 60:.0f} minutes; {reason}"

    def _fail(self, reason: str, agreement: Agreement | None = None) -> None:
        logger.error("%s: failed: %s", self.variant.name, reason)
        self.status = Status(state=State.FAILED, reason=reason, agreement=agreement)

    async def _prove(
        self, child: EngineChild, session: aiohttp.ClientSession, started: float
    ) -> None:
        """Wait for an engine that has started, and prove what it holds and what it can do."""
        held = await until_proven(child, session, self.settings.start_timeout_s)
        capabilities, agreement = await self._answers(child, session)
        for claim, failure in capabilities.items():
            if failure is not None:
                logger.warning("%s: the claim %s failed: %s", self.variant.name, claim, failure)
        self.status = Status(
            state=State.DRAINING if self._draining else State.READY,
            manifest=child.launch.manifest,
            held=held,
            capabilities=capabilities,
            agreement=agreement,
            start_s=time.monotonic() - started,
        )

    async def _answers(
        self, child: EngineChild, session: aiohttp.ClientSession
    ) -> tuple[Mapping[str, str | None], Agreement]:
        """How it answers; what an engine did that slept since does not have to be asked again."""
        known, manifest = self.status, self.status.manifest
        again = manifest is not None and known.agreement is not None
        if again and manifest == child.launch.manifest and known.state is State.WAKING:
            assert known.agreement is not None
            return known.capabilities, known.agreement
        return await prove_answers(child, session, self.variant)

    async def describe(self) -> dict[str, Any]:
        """State, proof, memory and GPUs, as ``/<variant>/healthz`` shows them."""
        memory, gpus, child = None, list[EngineGpu](), self._child
        if child is not None and self.status.state in _RUNNING:
            memory = await asyncio.to_thread(child.memory_bytes)
            gpus = await asyncio.to_thread(child.gpus)
        told = [gpu.model_dump() for gpu in gpus]
        return {**self.known(), "memory_bytes": memory, "gpus": told}

    def known(self) -> dict[str, Any]:
        """The same but for memory and GPUs, which are measured."""
        status, manifest = self.status, self.status.manifest
        kernels = status.held.kernels if status.held else None
        return {
            "variant": self.variant.name,
            "recipe": self.variant.recipe.name,
            "engine": self.variant.engine.name,
            "emulated": self.variant.engine.emulated,
            "engine_version": self.settings.engine_version,
            "state": status.state,
            "reason": status.reason,
            "restarts": self.restarts,
            "limits": {name: getattr(self.settings, name) for name in _LIMITS},
            "start_s": status.start_s,
            "artifact_sha256": manifest.content_sha256 if manifest else None,
            "bits_per_weight": manifest.bits_per_weight if manifest else None,
            "held_weight_bytes": status.held.weight_bytes if status.held else None,
            "held_weight_kinds": dict(status.held.kinds) if status.held else {},
            "kernels": kernels.model_dump() if kernels else None,
            "capabilities": sorted(c for c, failure in status.capabilities.items() if not failure),
            "agreement": status.agreement.model_dump() if status.agreement else None,
            "failed_claims": {c: why for c, why in status.capabilities.items() if why},
        }
