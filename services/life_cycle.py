"""What an engine's life is decided by: its states, when it is started again, when it has hung.

``stopped`` -> ``starting`` -> ``ready`` -> ``draining`` -> ``stopped``. An engine that ends by
itself, hangs or outgrows its memory goes back to ``starting`` after a pause; one that cannot
start, or keeps ending, is ``failed``. Pure: no clock, no process.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# A start that failed is tried once more: another program may have taken its port.
MOST_FAILED_STARTS = 2
# Probes in a row that must go unanswered: one may be lost to a machine that slept.
MOST_MISSES = 3
# Below this share of a core an engine does not compute, and owes a tiny completion at once.
IDLE_CPU_SHARE = 0.02


class State(enum.StrEnum):
    """Where a variant stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


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

    def after(self, answered: bool) -> "Watch":
        """What is known after one more probe."""
        return Watch(misses=0 if answered else self.misses + 1)

    @property
    def hung(self) -> bool:
        """Whether the engine is to be replaced."""
        return self.misses >= MOST_MISSES


def owes_completion(*, open_requests: int, cpu_s: float, elapsed_s: float) -> bool:
    """Whether health alone proves nothing, so that the engine is asked for a token as well.

    It holds requests, but its processes have used ``cpu_s`` of ``elapsed_s``, as good as nothing:
    a client may be slow to read, or the engine behind the HTTP server has stopped.
    """
    return open_requests > 0 and cpu_s < IDLE_CPU_SHARE * elapsed_s
