"""Whether a process grows: a robust slope of its memory, held against a limit."""

from typing import Literal

from loadtest.intervals import Estimate

Growth = Literal["flat", "not proven", "grows"]


def growth(slope: Estimate | None, limit: float) -> Growth:
    """``flat``: all of the interval within the limit; ``grows``: all of it beyond.

    A series too short for an interval proves nothing.
    """
    if slope is None or slope.bounds is None:
        return "not proven"
    low, high = slope.bounds
    return "flat" if high <= limit else "grows" if low > limit else "not proven"
