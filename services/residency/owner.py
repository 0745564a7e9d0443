"""The owner of the memory: the one place that says who may be awake.

Every replica tells it where it stands and asks whether it may be awake, again and again; the answer
comes when it differs from what the replica was told last, or after a while. So whichever of the two
is replaced, the next question mends what it has missed.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from services.residency.decision import Memory, Phase, Standing, decide

# How long a question stays open.
PATIENCE_S = 10.0
# A replica that has not asked for so long is gone, and its engine with it.
GONE_S = 4 * PATIENCE_S


@dataclass(frozen=True, kw_only=True)
class OwnerSettings:
    """What every variant holds when it is awake, in the plan's order, and the room for all."""

    needs: Mapping[str, Memory]
    room: Memory


@dataclass(frozen=True, kw_only=True)
class Report:
    """Where a variant stands, by its replica, which was born at ``born_ns`` and counts its reports.

    ``may_be_awake`` is what it was told last. It is ``wanted`` where requests wait for it, and
    until it has been ``proven`` once. ``idle_s`` is for how long it has had no request. The last
    report of a replica that is ``closing`` is answered at once.
    """

    variant: str
    born_ns: int
    count: int
    phase: Phase
    may_be_awake: bool
    wanted: bool
    proven: bool
    idle_s: float = 0.0
    closing: bool = False

    @property
    def order(self) -> tuple[int, int]:
        """Later reports of a variant are greater."""
        return self.born_ns, self.count


@dataclass(frozen=True, kw_only=True)
class _Known:
    report: Report
    heard_s: float
    wanted_since_s: float | None
    may_be_awake: bool

    @property
    def phase(self) -> Phase:
        """One that was told to wake holds its memory, whether it has heard that yet or not."""
        waking = self.report.phase is Phase.ASLEEP and self.may_be_awake
        return Phase.WAKING if waking else self.report.phase


class Owner:
    """Decides for all variants of a service."""

    def __init__(
        self, settings: OwnerSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._born_s = clock()
        self._known: dict[str, _Known] = {}
        self._changed = asyncio.Event()

    async def tell(self, report: Report) -> bool:
        """Whether the variant may be awake; blocks up to ``PATIENCE_S`` while that is no news."""
        self._take(report)
        self._settle()
        name = report.variant
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (
                    not report.closing
                    and self._known[name].report == report
                    and self._known[name].may_be_awake == report.may_be_awake
                ):
                    await self._changed.wait()
        except TimeoutError:
            pass
        return self._known[name].may_be_awake

    def _take(self, report: Report) -> None:
        known = self._known.get(report.variant)
        if known is not None and report.order <= known.report.order:
            return
        now_s = self._clock()
        since_s = known.wanted_since_s if known is not None else None
        if since_s is None:
            # All that are new are wanted from the same moment on: they wake in the plan's order.
            since_s = now_s if report.proven else self._born_s
        self._known[report.variant] = _Known(
            report=report,
            heard_s=now_s,
            wanted_since_s=since_s if report.wanted else None,
            may_be_awake=_still_may(known, report),
        )

    def _settle(self) -> None:
        """Decide, and answer whoever is told something new."""
        if not self._is_everybody_heard():
            return self._announce()
        decision = decide(self._standings(), self._settings.room)
        for name, known in self._known.items():
            if known.phase is Phase.AWAKE:
                told = name not in decision.leave
            else:
                told = known.may_be_awake or name == decision.wake
            self._known[name] = replace(known, may_be_awake=told)
        return self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _is_everybody_heard(self) -> bool:
        """A new owner knows of no engine, and there may be some: their replicas will say so."""
        unheard = self._settings.needs.keys() - self._known.keys()
        return not unheard or self._clock() - self._born_s > GONE_S

    def _standings(self) -> dict[str, Standing]:
        now_s = self._clock()
        return {
            name: Standing(
                needs=needs,
                phase=known.phase,
                wanted_since_s=known.wanted_since_s,
                used_at_s=known.heard_s - known.report.idle_s,
            )
            for name, needs in self._settings.needs.items()
            if (known := self._known.get(name)) is not None and now_s - known.heard_s < GONE_S
        }


def _still_may(known: _Known | None, report: Report) -> bool:
    """What a variant may after its report, before anything new is decided.

    Leave to wake stands until it was heard; one that has heard it and is asleep all the same has
    failed, or has left again. What a new replica of a variant is told has to be decided anew.
    """
    match report.phase:
        case Phase.LEAVING:
            return False
        case Phase.WAKING | Phase.AWAKE:
            return True
        case Phase.ASLEEP:
            same = known is not None and known.report.born_ns == report.born_ns
            return same and known is not None and known.may_be_awake and not report.may_be_awake
