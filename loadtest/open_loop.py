"""Open loop: requests come when they are due, whatever became of the ones before.

One schedule for the whole endpoint, the same for every variant: the arrivals of a round are a pure
function of the rate, the kind and the request's number. Latency is counted from the time at which
a request was due (response latency), not from when the client came to send it: a user who waits
in line waits too. Service latency, from the send, is kept apart.

Three kinds differ in their gaps alone, all with the mean 1 / rate: constant ones; exponential ones
(a Poisson process, as of many independent users); and gamma ones of twice that spread, in bursts.
"""

from collections.abc import Sequence
from functools import cache
from math import ceil
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from loadtest.load_point import LoadPoint

SEED = 14
# Schedules are drawn in pieces of so many gaps.
PIECE = 4096
# Users enough that one is free when a request is due: what answers would keep busy for so long.
BUSY_S = 20.0
LEAST_USERS, MOST_USERS = 16, 512
# Requests that arrive together wait together.
BLOCK = 8
# Gaps with a standard deviation of twice their mean.
BURSTINESS = 2.0


class OpenLoop(LoadPoint):
    """``amount`` requests a second; ``spread`` is the gaps' standard deviation over their mean."""

    noun = "rate"
    axis = "requests a second"
    counts_from_due = True
    spread: ClassVar[float]

    @property
    def label(self) -> str:
        """As a sentence of the verdict says it."""
        return f"{self.number} requests a second"

    @property
    def short(self) -> str:
        """As a column of the report is headed."""
        return f"{self.number} /s"

    @property
    def users(self) -> int:
        """Enough for whatever is in flight, as long as the server keeps up."""
        return min(MOST_USERS, max(LEAST_USERS, ceil(self.amount * BUSY_S)))

    @property
    def block(self) -> int:
        """Neighbours in time."""
        return BLOCK

    def seconds(self, cycles_s: Sequence[float]) -> float:
        """Arrivals tile the time whatever becomes of them."""
        return len(cycles_s) / self.amount

    def events_per_s(self, output_tokens: int) -> float:
        """What arrives is answered."""
        return self.amount * output_tokens

    def due_s(self, index: int) -> float:
        """When request ``index`` (from 0) arrives."""
        piece, place = divmod(index, PIECE)
        return (_began(self.spread, piece) + float(_piece(self.spread, piece)[place])) / self.amount


class ConstantRate(OpenLoop):
    """A request every 1 / rate."""

    kind = "constant_rate"
    spread = 0.0
    rate_words = "times the rate at which the requests that brought them arrived."
    limit_words = (
        "The load is an open loop with even gaps: real users do not come so evenly, and their "
        "rush waits longer."
    )


class PoissonRate(OpenLoop):
    """Independent arrivals."""

    kind = "poisson"
    spread = 1.0
    rate_words = ConstantRate.rate_words
    limit_words = (
        "The load is an open loop of independent arrivals: it shows what they wait, not what the "
        "endpoint would give to users who wait for each other."
    )


class BurstyRate(OpenLoop):
    """Arrivals in bursts: gaps of a gamma distribution."""

    kind = "bursty"
    spread = BURSTINESS
    rate_words = ConstantRate.rate_words
    limit_words = (
        "The load is an open loop in bursts, its gaps gamma distributed with twice the spread of "
        "independent arrivals; other bursts would wait for other times."
    )


def between_dues(dues_s: Sequence[float]) -> float:
    """The time for which arrivals stand: as many gaps as arrivals, of the mean that is seen."""
    if len(dues_s) < 2:
        return 0.0
    return (max(dues_s) - min(dues_s)) * len(dues_s) / (len(dues_s) - 1)


@cache
def _piece(spread: float, number: int) -> npt.NDArray[np.float64]:
    """Arrival times of a piece at rate 1, from the piece's begin."""
    if spread == 0:
        return np.arange(1, PIECE + 1, dtype=np.float64)
    shape = 1 / spread**2
    draw = np.random.default_rng([SEED, number])
    arrivals: npt.NDArray[np.float64] = np.cumsum(draw.gamma(shape, 1 / shape, size=PIECE))
    return arrivals


@cache
def _began(spread: float, number: int) -> float:
    """When a piece begins: with the last arrival of the one before."""
    if number == 0:
        return 0.0
    # In order: each asks the one before it, and Python does not ask a thousand deep.
    for earlier in range(number - 1):
        _began(spread, earlier)
    return _began(spread, number - 1) + float(_piece(spread, number - 1)[-1])
