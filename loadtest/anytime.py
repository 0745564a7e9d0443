"""Intervals that stay true however often one looks, and stops: for a load test that ends early.

An interval for a fixed number of rounds is wrong once somebody looks after every round and stops
when he likes what he sees. A confidence sequence covers the truth at all times at once, with the
stated probability. Pure functions.
"""

import math
from collections.abc import Sequence

import numpy as np

from loadtest.intervals import Estimate
from loadtest.stats import CONFIDENCE, Floats

Values = Sequence[float] | Floats

# The prior variance of the true mean in standard deviations of a single value is 1 / MIXTURE. It
# changes how early which difference is seen, and never whether the sequence covers: 0.25 expects
# differences of about two standard deviations of a round, which few rounds can show.
MIXTURE = 0.25


def log_evidence(values: Values, mean: float = 0.0) -> float:
    """The logarithm of the evidence against "the values are normal with this mean".

    The likelihood ratio of the t statistic, mixed over effect sizes mean / deviation ~
    N(0, 1 / MIXTURE): with n values less the mean, S their sum and V that of their squares,
    sqrt(m / (n + m)) (1 - S^2 / ((n + m) V))^(-n / 2). Whatever the unknown variance is, it is a
    martingale that begins with 1 where the hypothesis holds (Wang and Ramdas, Anytime-valid
    t-tests and confidence sequences for Gaussian means with unknown variance, Sequential Analysis
    44, 2025; arXiv 2310.03722, section 3), so by Ville's inequality it ever exceeds 1 / a with a
    probability of at most a.
    """
    shifted = np.asarray(values, float) - mean
    count, square = len(shifted), float((shifted**2).sum())
    if square == 0:
        return 0.0
    rest = 1 - float(shifted.sum()) ** 2 / ((count + MIXTURE) * square)
    return 0.5 * math.log(MIXTURE / (count + MIXTURE)) - count / 2 * math.log(rest)


def confidence_sequence(values: Values, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of the values so far and the means that ``log_evidence`` does not refute.

    Without bounds while the values are too few to refute any.
    """
    found = np.asarray(values, float)
    count, value = len(found), float(found.mean())
    if math.isinf(limit := critical_t(count, confidence)):
        return Estimate(value=value)
    reach = limit * float(found.std(ddof=1)) / math.sqrt(count)
    return Estimate(value=value, low=value - reach, high=value + reach)


def critical_t(count: int, confidence: float = CONFIDENCE) -> float:
    """How many standard errors the bounds of so many values are away; infinite of too few.

    ``log_evidence`` solved for the mean: with Q the sum of squares about the values' own mean and
    k = 1 - (a^2 m / (n + m))^(1 / n), it reaches sqrt(k (n + m) Q / (n (n - k (n + m)))) to both
    sides, and Q is n - 1 times the variance.
    """
    if count < 2:
        return math.inf
    grown = count + MIXTURE
    k = 1 - ((1 - confidence) ** 2 * MIXTURE / grown) ** (1 / count)
    room = count - k * grown
    return math.sqrt((count - 1) * k * grown / room) if room > 0 else math.inf


def each_of_two(confidence: float) -> float:
    """The confidence at which each of two must be known for both to be at this one (Bonferroni)."""
    return (1 + confidence) / 2


def apart(one: Estimate, other: Estimate) -> Estimate:
    """``one`` less ``other``, as far apart as either may be from its own value; both known so.

    Errors add up in squares only where the number of values was fixed beforehand.
    """
    value = one.value - other.value
    if one.bounds is None or other.bounds is None:
        return Estimate(value=value)
    low, high = one.bounds[0] - other.bounds[1], one.bounds[1] - other.bounds[0]
    return Estimate(value=value, low=low, high=high)


def is_decided(found: Estimate, margin: float) -> bool:
    """Whether a difference is known: it is not 0, or it lies within the margin to both sides."""
    if found.low is None or found.high is None:
        return False
    return not found.covers(0) or (found.low >= -margin and found.high <= margin)
