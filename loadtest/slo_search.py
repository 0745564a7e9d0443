"""The highest rate of arrivals at which an endpoint still meets its objectives. Pure functions.

Trials at many rates tell the share of requests that met every objective. That share cannot rise
with the rate, so the trials are fitted by isotonic regression (Barlow, Bartholomew, Bremner and
Brunk, Statistical Inference under Order Restrictions, 1972), and the rate is read where the fit
passes the share that must. Requests of a trial wait for each other, so the interval resamples
trials, and not requests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict
from scipy import optimize

from loadtest.intervals import Estimate
from loadtest.stats import CONFIDENCE, Floats

# The share of requests that must meet every objective.
TARGET_SHARE = 0.95
RESAMPLES = 1000
# Below so many trials near the rate that is sought, an interval would only look like one.
LEAST_TRIALS = 8
# A bracket is halved until its ends are so near; then trials are spread over a little more.
BRACKET, SPREAD = 1.15, 1.2
# A search ends when the interval is so narrow against its value.
NARROW = 0.06
GROWTH = 2.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One rate (requests a second) that was tried: how many requests, and how many met all."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    rate: float
    requests: int
    met: int

    @property
    def passes(self) -> bool:
        """Whether enough did."""
        return self.met >= TARGET_SHARE * self.requests


def highest_rate(trials: Sequence[Trial]) -> float | None:
    """The rate at which the fitted share passes the target; None where no trial lies beyond it.

    Between two levels of the fit, each at the mean rate of its trials, it is a straight line.
    """
    rates, shares = _levels(trials)
    beyond = np.flatnonzero(shares < TARGET_SHARE)
    if not len(beyond) or beyond[0] == 0:
        return None
    after = int(beyond[0])
    (low, high), (above, below) = rates[after - 1 : after + 1], shares[after - 1 : after + 1]
    return float(low + (high - low) * (above - TARGET_SHARE) / (above - below))


def _levels(trials: Sequence[Trial]) -> tuple[Floats, Floats]:
    """The levels of the falling fit: each one's mean rate, and its share."""
    ordered = sorted(trials, key=lambda it: it.rate)
    weights = np.array([float(it.requests) for it in ordered])
    rates = np.array([it.rate for it in ordered])
    shares = np.array([it.met for it in ordered]) / weights
    fit = optimize.isotonic_regression(shares, weights=weights, increasing=False)
    starts = fit.blocks[:-1]
    totals = np.add.reduceat(weights, starts)
    return np.add.reduceat(weights * rates, starts) / totals, np.asarray(fit.x)[starts]


def rate_estimate(trials: Sequence[Trial], *, seed: int = 0) -> Estimate | None:
    """The highest rate with its interval over resampled trials; None while it is not enclosed."""
    value = highest_rate(trials)
    if value is None:
        return None
    near = sum(value / SPREAD <= it.rate <= value * SPREAD for it in trials)
    if near < LEAST_TRIALS:
        return Estimate(value=value)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(trials), size=(RESAMPLES, len(trials)))
    found = [highest_rate([trials[place] for place in row]) for row in drawn]
    kept = np.array([it for it in found if it is not None])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(kept, [tail, 1 - tail])
    return Estimate(value=value, low=min(value, float(low)), high=max(value, float(high)))


def is_narrow(found: Estimate | None) -> bool:
    """Whether the search may end."""
    return (
        found is not None
        and found.bounds is not None
        and (found.bounds[1] - found.bounds[0] <= NARROW * found.value)
    )


def next_rate(trials: Sequence[Trial], first: float) -> float:
    """The rate to try next: double or halve until enclosed, halve the bracket, then spread.

    Spread trials go over the golden ratio's sequence, which fills a range evenly however many
    they will be.
    """
    if not trials:
        return first
    passed = [it.rate for it in trials if it.passes]
    missed = [it.rate for it in trials if not it.passes]
    if not missed:
        return max(passed) * GROWTH
    if not passed:
        return min(missed) / GROWTH
    below = max((rate for rate in passed if rate < min(missed)), default=min(missed) / GROWTH)
    if min(missed) / below > BRACKET and len(trials) < 2 * LEAST_TRIALS:
        return math.sqrt(below * min(missed))
    middle = highest_rate(trials) or math.sqrt(below * min(missed))
    golden = len(trials) * (math.sqrt(5) - 1) / 2 % 1
    return float(middle * SPREAD ** (2 * golden - 1))
