"""Shares of requests, and their high percentiles, where requests come in blocks and rounds: pure.

A bootstrap cannot see beyond the largest values that it resamples: its p90, p95 and p99 of such
requests hold the truth in 91, 88 and 83 of 100 cases. So a share's interval is Clopper and
Pearson's of an effective number of requests: of the independent ones whose share would vary as
much, reduced for the few units that tell it (Korn and Graubard, Survey Methodology 24, 1998). And a
percentile lies between the values at the ends of the interval of the share below it (Woodruff, JASA
47, 1952).
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from loadtest.intervals import Estimate
from loadtest.stats import (
    CONFIDENCE,
    LEAST_BLOCKS,
    LEAST_WHOLE_ROUNDS,
    Counts,
    Floats,
    wilson_interval,
    z_value,
)


def share_estimate(hits: Counts, sizes: Counts, rounds: Counts) -> Estimate:
    """A share of requests with its interval.

    Of every block ``[blocks]`` how many requests are counted, how many it has, and in which round
    it lies. Where all or none count, or blocks are few, nothing tells how blocks differ: then
    Wilson's, as of requests that are independent.
    """
    met, count = int(hits.sum()), int(sizes.sum())
    if met in (0, count) or len(hits) < LEAST_BLOCKS:
        return wilson_interval(met, count, CONFIDENCE)
    low, high = _interval(met / count, hits, sizes, rounds)
    return Estimate(value=met / count, low=low, high=high)


def tail_estimate(value: float, blocks: Sequence[Floats], rounds: Counts, share: float) -> Estimate:
    """A percentile (0.9 for p90) that was measured, with its interval.

    ``blocks`` are the values of each, ``[values]``; ``rounds`` ``[blocks]`` says in which round it
    lies. No bounds where the upper one would lie beyond all values.
    """
    values = np.sort(np.concatenate(blocks))
    sizes = np.array([len(block) for block in blocks])
    below = np.array([int(np.sum(block <= value)) for block in blocks])
    low, high = _interval(share, below, sizes, rounds)
    first, last = math.ceil(low * len(values)) - 1, math.ceil(high * len(values))
    if last >= len(values):
        return Estimate(value=value)
    return Estimate(value=value, low=float(values[max(first - 1, 0)]), high=float(values[last]))


def _interval(share: float, hits: Counts, sizes: Counts, rounds: Counts) -> tuple[float, float]:
    """Clopper and Pearson's of a share of so many, not whole, trials (Biometrika 26, 1934)."""
    count = _effective(share, hits, sizes, rounds)
    tail, found = (1 - CONFIDENCE) / 2, share * count
    low = special.betaincinv(found, count - found + 1, tail)
    return float(low), float(special.betaincinv(found + 1, count - found, 1 - tail))


def _effective(share: float, hits: Counts, sizes: Counts, rounds: Counts) -> float:
    """As how many independent requests they count, by whichever unit varies more."""
    excess, (names, place) = hits - share * sizes, np.unique(rounds, return_inverse=True)
    units = [excess]
    if len(names) >= LEAST_WHOLE_ROUNDS:
        units.append(np.bincount(place, weights=excess))
    alone = share * (1 - share)
    total = int(sizes.sum())
    variance = max(alone / total, *(_variance(it) / total**2 for it in units))
    student = float(special.stdtrit(len(units[-1]) - 1, 0.5 + CONFIDENCE / 2))
    return alone / variance * (z_value(CONFIDENCE) / student) ** 2


def _variance(sums: Floats) -> float:
    """Of the sum of independent units."""
    return len(sums) * float(sums.var(ddof=1))
