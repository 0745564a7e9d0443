"""What an engine's life is decided by: its states, when it is started again, when it has hung.

``stopped`` -> ``starting`` -> ``ready`` -> ``draining`` -> ``stopped``. An engine that ends by
itself, hangs or outgrows its memory is ``starting`` again at once, and started after a pause; one
that cannot start, or keeps ending, is ``failed``. Where not all variants are awake at once
(``services/residency``), one is ``asleep`` -> ``waking`` -> ``ready`` -> ``leaving`` -> ``asleep``,
and takes requests in all of these. Pure: no clock, no process.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# A start that failed is tried once more: another program may have taken its port.
MOST_FAILED_STARTS = 2
# Probes in a row that must go unanswered: one may be lost to a machine that slept. An engine that
# computes meanwhile may only be busy (a thousand requests at once), and gets four times as long.
MOST_MISSES = 3
MOST_BUSY_MISSES = 12
# Below this share of a core an engine does not compute.
IDLE_CPU_SHARE = 0.02


class State(enum.StrEnum):
    """Where a variant stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
    ASLEEP = "asleep"
    WAKING = "waking"
    LEAVING = "leaving"

    @property
    def takes_requests(self) -> bool:
        """Whether a request is answered, if only once the variant is awake again."""
        return self in {State.READY, State.ASLEEP, State.WAKING, State.LEAVING}


@dataclass(frozen=True, kw_only=True)
class End:
    """The end of one start of an engine: when (s), and whether it had been ready."""

    at_s: float
    was_ready: bool


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """How often an engine may end: the ``crashes``-th time within ``window_s`` is the last."""

    crashes: int
    window_s: float

    def counted(self, ends: Sequence[End], now_s: float) -> int:
        """Ends that count against the engine: those within the window, and the starts since it was
        last ready, which may each take longer than the window."""
        last_ready = max((number for number, end in enumerate(ends) if end.was_ready), default=-1)
        return sum(
            number > last_ready or end.at_s > now_s - self.window_s
            for number, end in enumerate(ends)
        )

    def pause_s(self, ends: Sequence[End], now_s: float) -> float | None:
        """Seconds until the next start; None: no more. Each pause is twice the one before."""
        counted = self.counted(ends, now_s)
        most = self.crashes if any(end.was_ready for end in ends) else MOST_FAILED_STARTS
        if counted >= most:
            return None
        return min(FIRST_PAUSE_S * 2.0 ** (counted - 1), LONGEST_PAUSE_S)


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What the probes of a running engine have shown so far.

    Probes are counted, not seconds: after a suspension of the machine the clock has leapt, while
    the engine has missed one probe at most.
    """

    misses: int = 0
    idle_misses: int = 0

    def after(self, *, answered: bool, idle: bool) -> "Watch":
        """What is known after one more probe, during which the engine did compute or not."""
        if answered:
            return Watch()
        return Watch(misses=self.misses + 1, idle_misses=self.idle_misses + idle)

    @property
    def hung(self) -> bool:
        """Whether the engine is to be replaced."""
        return self.idle_misses >= MOST_MISSES or self.misses >= MOST_BUSY_MISSES


def is_idle(*, cpu_s: float, elapsed_s: float) -> bool:
    """Whether an engine whose processes used ``cpu_s`` of ``elapsed_s`` does as good as nothing.

    If it holds requests all the same, a client may be slow to read, or what stands behind the
    engine's HTTP server has stopped: its health proves nothing then.
    """
    return cpu_s < IDLE_CPU_SHARE * elapsed_s
