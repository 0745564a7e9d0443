"""What a budget of rounds can see, before it is spent. Pure functions.

Of paired rounds: the ratio's logarithm is tested by Student's t over rounds, so the power against
a difference follows the noncentral t distribution (Cohen, Statistical Power Analysis, 1988, 2.2).
It is averaged over the quantiles of the sample's deviation, as scipy's ``nct`` gives no number in
its far tails. ``anytime`` is the same against the wider limit of a confidence sequence.
"""

import math
from functools import cache

import numpy as np
from scipy import optimize, stats

from loadtest.anytime import critical_t
from loadtest.stats import CONFIDENCE, Floats

POWER = 0.8
# What paired rounds of 2 s differ by where no earlier run tells (standard deviation, as a share).
USUAL_NOISE = 0.03
QUANTILES = 4000


def power_of(
    share: float,
    noise: float,
    rounds: int,
    confidence: float = CONFIDENCE,
    *,
    anytime: bool = False,
) -> float:
    """How probably a ratio of 1 + ``share`` is told from 1 by so many rounds of that noise."""
    critical = _critical(rounds, confidence, anytime=anytime)
    if math.isinf(critical):
        return 0.0
    shift = abs(math.log1p(share)) / noise * math.sqrt(rounds)
    limit = critical * _deviations(rounds - 1)
    beyond = stats.norm.sf(limit - shift) + stats.norm.cdf(-limit - shift)
    return float(beyond.mean())


def _critical(rounds: int, confidence: float, *, anytime: bool) -> float:
    """Beyond how many standard errors a mean of so many rounds is told from 0."""
    if anytime:
        return critical_t(rounds, confidence)
    return float(stats.t.ppf(0.5 + confidence / 2, rounds - 1)) if rounds > 1 else math.inf


@cache
def _deviations(freedom: int) -> Floats:
    """Equally probable standard deviations of samples of a standard normal variable."""
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    found: Floats = np.sqrt(stats.chi2.ppf(shares, freedom) / freedom)
    return found


def detectable_share(
    noise: float,
    rounds: int,
    *,
    power: float = POWER,
    confidence: float = CONFIDENCE,
    anytime: bool = False,
) -> float:
    """The least difference (0.04 for 4 %) that so many rounds tell with that power.

    Infinite of rounds that tell none: a single one, and where they may be looked at any time three.
    """
    if math.isinf(_critical(rounds, confidence, anytime=anytime)):
        return math.inf
    if noise == 0:
        return 0.0

    def lacks(log_share: float) -> float:
        return power_of(math.expm1(log_share), noise, rounds, confidence, anytime=anytime) - power

    # With two rounds it takes some eighteen standard deviations.
    return math.expm1(float(optimize.brentq(lacks, 1e-9, 40 * noise, xtol=1e-9)))
