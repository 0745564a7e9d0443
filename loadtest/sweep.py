"""Sweep: a closed loop of ever more streams, until more of them bring no more tokens per second."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.closed_loop import ClosedLoop

# What more streams must bring at least, to be called more.
GAIN = 1.1
# A figure this near to the best one is as good.
NEAR = 0.95


class Sweep(ClosedLoop):
    """A step of a sweep: a closed loop of ``amount`` streams."""

    kind = "sweep"
    is_searched = True

    @classmethod
    def goes_on(cls, rates: Sequence[float]) -> bool:
        """Whether one of the last two doublings brought a tenth more than all before them."""
        return len(rates) < 3 or max(rates[-2:]) > GAIN * max(rates[:-2])


@dataclass(frozen=True, kw_only=True)
class Saturation:
    """Where a sweep ends: the fewest ``streams`` that bring (nearly) the most.

    ``reached``: beyond them it was seen that there is no more to gain.
    """

    streams: int
    reached: bool


def saturation(rates: Sequence[tuple[float, float]]) -> Saturation:
    """Of the steps of a sweep, by ascending streams: pairs of streams and tokens per second."""
    best = max(rate for _, rate in rates)
    streams = next(int(number) for number, rate in rates if rate >= NEAR * best)
    return Saturation(streams=streams, reached=not Sweep.goes_on([rate for _, rate in rates]))
