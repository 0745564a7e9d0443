"""Ramp: arrivals that come ever faster, at a rate that rises in a straight line over the window.

A Poisson process of such a rate is one of rate 1 on a clock that runs as the rate says (Çinlar,
Introduction to Stochastic Processes, 1975, section 4.7): request n comes when the expected number
of arrivals passes the time of arrival n at rate 1.
"""

import math
from collections.abc import Sequence

from loadtest.asks import ARRIVALS_APART, Asks
from loadtest.load_point import LoadPoint
from loadtest.open_loop import ConstantRate, OpenLoop, PoissonRate, between_dues

# Of the last rate, what the first one is.
FIRST_SHARE = 0.1
# Parts of the window that the report tells of.
PARTS = 5


def arrival_s(expected: float, last_rate: float, warmup_s: float, duration_s: float) -> float:
    """When so many arrivals are expected: the first rate in the warm-up, then the rise."""
    first_rate = FIRST_SHARE * last_rate
    if (beyond := expected - first_rate * warmup_s) <= 0:
        return expected / first_rate
    rise = (last_rate - first_rate) / duration_s
    # first_rate x + rise x² / 2 = beyond, for x seconds of the window.
    passed_s = 2 * beyond / (first_rate + math.sqrt(first_rate**2 + 2 * rise * beyond))
    if passed_s > duration_s:
        passed_s = duration_s + (beyond - (first_rate + last_rate) / 2 * duration_s) / last_rate
    return warmup_s + passed_s


class RampAsks(Asks):
    """Requests that are due on the ramp; each round has arrivals of its own."""

    first_arrival = 0

    def due_s(self, index: int) -> float:
        """When request ``index`` (from 0) arrives."""
        skipped, load, unit = self.terms.round * ARRIVALS_APART, self.terms.load, PoissonRate(1.0)
        expected = unit.due_s(skipped + index) - unit.due_s(skipped)
        return arrival_s(expected, self.terms.amount, load.warmup_s, load.duration_s)


class Ramp(OpenLoop):
    """A rate that rises to ``amount`` requests a second."""

    kind = "ramp"
    spread = 1.0
    axis = "requests a second at the end"
    asks = RampAsks
    decides = False
    changes = True
    rate_words = "over the time in which the requests that brought them arrived."
    limit_words = (
        "The load is a ramp: no two moments of it are alike, so its figures as a whole tell of no "
        "steady load. It shows where latency begins to rise."
    )

    @property
    def label(self) -> str:
        """As a sentence says it."""
        return f"a ramp to {self.number} requests a second"

    @property
    def short(self) -> str:
        """As a column of the report is headed."""
        return f"up to {self.number} /s"

    @property
    def certified_as(self) -> LoadPoint:
        """The client meets the last rate."""
        return ConstantRate(self.amount)

    def seconds_of(self, dues_s: Sequence[float], cycles_s: Sequence[float]) -> float:
        """Arrivals tile the time."""
        return between_dues(dues_s)

    def part_of(self, passed: float, turn: int | None, *, intruder: bool) -> str:
        """A fifth of the window, by the rate that the ramp has there."""
        place = min(PARTS - 1, int(passed * PARTS))
        rates = [
            self.amount * (FIRST_SHARE + (1 - FIRST_SHARE) * n / PARTS) for n in (place, place + 1)
        ]
        return f"{rates[0]:.3g} to {rates[1]:.3g} /s"
