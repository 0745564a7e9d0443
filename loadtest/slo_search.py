"""The highest rate of arrivals at which an endpoint still meets its objectives. Pure functions.

Trials at many rates tell the share of requests that met every objective. That share cannot rise
with the rate, so the trials are fitted by isotonic regression (Barlow, Bartholomew, Bremner and
Brunk, Statistical Inference under Order Restrictions, 1972), which tells where the fit passes the
share that must. There the share is a straight line in its logit and the rate's logarithm, through
all trials nearby, which are too few for a line of steps. Requests of a trial wait for each other,
so the interval goes by what the trials differ by, and not by requests.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict
from scipy import optimize, special, stats

from loadtest.intervals import Estimate
from loadtest.stats import CONFIDENCE, Floats

# The share of requests that must meet every objective.
TARGET_SHARE = 0.95
# Below so many trials near the rate that is sought, an interval would only look like one.
LEAST_TRIALS = 30
# A bracket is halved until its ends are so near, if that takes no more than so many trials; then
# trials are spread over a little more, and those that lie so near make up the line.
BRACKET, MOST_HALVED, SPREAD, NEAR = 1.15, 16, 1.2, 1.3
# A search ends when the interval is so narrow against its value. One that is looked at until it is
# narrow holds the truth less often than it says, so it says less than it holds.
NARROW = 0.06
LOOKED_AT = 1 - (1 - CONFIDENCE) / 2
GROWTH = 2.0
_TARGET_LOGIT = math.log(TARGET_SHARE / (1 - TARGET_SHARE))
# Newton's steps of a fit, and how long one may be.
STEPS, LONGEST_STEP, DONE = 25, 5.0, 1e-6
# A logit that falls less than this with the rate's logarithm is no knee. A share that falls by more
# from one trial to the next falls off a cliff; one that is less is on no line with the others.
FLATTEST, CLIFF, HOPELESS = -0.5, 0.3, 0.5


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One rate (requests a second) that was tried: how many requests, and how many met all."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    rate: float
    requests: int
    met: int

    @property
    def share(self) -> float:
        """How large a part did."""
        return self.met / self.requests

    @property
    def passes(self) -> bool:
        """Whether enough did."""
        return self.met >= TARGET_SHARE * self.requests


def highest_rate(trials: Sequence[Trial]) -> float | None:
    """The rate at which the fitted share passes the target; None where no trial lies beyond it.

    From the last trial of one level of the fit to the first of the next it is a straight line.
    """
    rates = sorted(it.rate for it in trials)
    shares, starts = _levels(trials)
    beyond = np.flatnonzero(shares < TARGET_SHARE)
    if not len(beyond) or beyond[0] == 0:
        return None
    after = int(beyond[0])
    low, high = rates[starts[after] - 1], rates[starts[after]]
    above, below = shares[after - 1 : after + 1]
    return float(low + (high - low) * (above - TARGET_SHARE) / (above - below))


def _levels(trials: Sequence[Trial]) -> tuple[Floats, Sequence[int]]:
    """The levels of the falling fit: the share of each, and its first trial in order of rates."""
    ordered = sorted(trials, key=lambda it: it.rate)
    weights = np.array([float(it.requests) for it in ordered])
    shares = np.array([it.share for it in ordered])
    fit = optimize.isotonic_regression(shares, weights=weights, increasing=False)
    starts = fit.blocks[:-1]
    return np.asarray(fit.x)[starts], [int(it) for it in starts]


def rate_estimate(trials: Sequence[Trial]) -> Estimate | None:
    """The highest rate with its interval; None while it is not enclosed.

    Without bounds while there are too few trials nearby, or these show no fall.
    """
    value = highest_rate(trials)
    if value is None:
        return None
    near = [it for it in trials if value / NEAR <= it.rate <= value * NEAR]
    if len(near) < LEAST_TRIALS:
        return Estimate(value=value)
    if all(it.passes for it in near) or not any(it.passes for it in near):
        return Estimate(value=value)
    return _cliff(near) or _on_a_line(near, value) or Estimate(value=value)


def _on_a_line(near: Sequence[Trial], value: float) -> Estimate | None:
    """Where the line of the logits passes the target; None where they show no fall there.

    A logistic regression whose trials differ by more than their requests would alone: the variance
    is that of the binomial times Pearson's chi-square over its degrees of freedom (McCullagh and
    Nelder, Generalized Linear Models, 1989, 4.5). The interval is that of the quotient (delta
    method), with Student's quantile. Where far too few are in time the share is no longer on a line
    with the others, so such trials are left out.
    """
    near = [it for it in near if it.share >= HOPELESS]
    if len(near) < LEAST_TRIALS / 2:
        return None
    x = np.log([it.rate / value for it in near])
    design = np.stack([np.ones_like(x), x], axis=1)
    requests = np.array([float(it.requests) for it in near])
    met = np.array([float(it.met) for it in near])
    (height, slope), information, chi_square = _logistic(design, met, requests)
    at = (_TARGET_LOGIT - height) / slope if slope < FLATTEST else math.inf
    if abs(at) > math.log(NEAR):
        return None
    freedom = len(near) - 2
    direction = np.array([-1 / slope, -at / slope])
    variance = direction @ np.linalg.inv(information) @ direction * max(1.0, chi_square / freedom)
    reach = float(stats.t.ppf(0.5 + LOOKED_AT / 2, freedom)) * math.sqrt(float(variance))
    low, middle, high = (value * math.exp(at + it) for it in (-reach, 0.0, reach))
    return Estimate(value=middle, low=low, high=high)


def _logistic(design: Floats, met: Floats, requests: Floats) -> tuple[Floats, Floats, float]:
    """Height and slope of the most likely line, their information, and Pearson's chi-square."""
    line = np.array([_TARGET_LOGIT, -1.0])
    for _ in range(STEPS):
        shares = special.expit(design @ line)
        weights = np.maximum(requests * shares * (1 - shares), 1e-9)
        information = design.T @ (design * weights[:, None])
        step = np.linalg.solve(information, design.T @ (met - requests * shares))
        line = line + step * min(1.0, LONGEST_STEP / max(DONE, float(np.abs(step).max())))
        if np.abs(step).max() < DONE:
            break
    return line, information, float(((met - requests * shares) ** 2 / weights).sum())


def _cliff(near: Sequence[Trial]) -> Estimate | None:
    """Between the last trial that passes and the first that does not; None where it is no cliff."""
    passed = [it for it in near if it.passes]
    missed = [it for it in near if not it.passes]
    last, first = max(it.rate for it in passed), min(it.rate for it in missed)
    falls_by = min(it.share for it in passed) - max(it.share for it in missed)
    if last >= first or falls_by < CLIFF:
        return None
    return Estimate(value=math.sqrt(last * first), low=last, high=first)


def is_narrow(found: Estimate | None) -> bool:
    """Whether the search may end."""
    return (
        found is not None
        and found.bounds is not None
        and (found.bounds[1] - found.bounds[0] <= NARROW * found.value)
    )


def searching(
    trials: Sequence[Trial],
    first: float,
    most: int,
    attempt: Callable[[float, int], Trial],
    least: float = 0.0,
) -> Iterator[Trial]:
    """Go on with a search until it is done or has ``most`` trials; yields each new one.

    ``attempt`` makes the trial of a rate and a number, which counts from 0. A search in which
    nothing passes ends above the rate ``least``: below, trials would tell nothing.
    """
    found = list(trials)
    while len(found) < most and not is_narrow(rate_estimate(found)):
        rate = next_rate(found, first)
        if rate < least and none_passes(found):
            return
        found.append(attempt(rate, len(found)))
        yield found[-1]


def none_passes(trials: Sequence[Trial]) -> bool:
    """Whether no rate that was tried meets the objectives."""
    return not any(it.passes for it in trials)


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
    if min(missed) / below > BRACKET and len(trials) < MOST_HALVED:
        return math.sqrt(below * min(missed))
    middle = highest_rate(trials) or math.sqrt(below * min(missed))
    golden = len(trials) * (math.sqrt(5) - 1) / 2 % 1
    return float(middle * SPREAD ** (2 * golden - 1))
