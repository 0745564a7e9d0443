"""The statistics of a comparison: pure, seeded functions over numpy arrays.

All intervals are two-sided at ``confidence``; a decision against a margin reads the bound on the
margin's side, so its one-sided error is (1 - confidence) / 2: stricter than it has to be, and the
interval that a chart shows is the interval that decided.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from loadtest.bootstrap import wilson

Floats = npt.NDArray[np.float64]
Decision = Literal["equal_or_better", "worse", "undecided"]

RESAMPLES = 4000
POWER = 0.8
# A resample of fewer units says little about the spread of the population.
LEAST_UNITS = 10
# Memory for one block of resampled indices: 2^22 of them, 32 MiB.
_BLOCK_INDICES = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value and its two-sided confidence interval."""

    value: float
    low: float
    high: float


def z_value(confidence: float) -> float:
    """The standard normal quantile of a two-sided interval: 1.96 for 0.95."""
    return float(stats.norm.ppf(0.5 + confidence / 2))


def wilson_interval(successes: float, trials: int, confidence: float) -> Interval:
    """Wilson's score interval of a proportion (Wilson, JASA 22, 1927)."""
    low, high = wilson(successes, trials, confidence)
    return Interval(value=successes / trials, low=low, high=high)


def mcnemar_exact(to_wrong: int, to_right: int) -> float:
    """McNemar's exact two-sided p-value: a fair coin for every answer that changed.

    1.0 where nothing changed. McNemar, Psychometrika 12, 1947; exact form: binomial test.
    """
    changed = to_wrong + to_right
    if changed == 0:
        return 1.0
    return float(stats.binomtest(to_wrong, changed, 0.5).pvalue)


def paired_proportion_interval(
    to_wrong: int, to_right: int, items: int, confidence: float
) -> Interval:
    """Tango's score interval of the difference of two paired proportions, (gained - lost) / items.

    Unlike a bootstrap it stays honest where few or no answers changed: without a change it is
    +- z^2 / (items + z^2), so twenty equal answers do not prove equality. Tango, Statistics in
    Medicine 17, 1998: the values d whose score statistic
    T(d) = (gained - lost - items d) / sqrt(items (2 q(d) + d (1 - d))) lies within +-z, with q the
    maximum-likelihood estimate of the share lost under d.
    """
    z = z_value(confidence)

    def score(d: float) -> float:
        a = 2.0 * items
        b = -to_right - to_wrong + (2 * items - to_right + to_wrong) * d
        c = -to_wrong * d * (1 - d)
        lost = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = items * (2 * lost + d * (1 - d))
        return (to_right - to_wrong - items * d) / math.sqrt(max(variance, 1e-300))

    value, edge = (to_right - to_wrong) / items, 1 - 1e-12
    low, high = -1.0, 1.0
    if score(-edge) > z:
        low = optimize.brentq(lambda d: score(d) - z, -edge, min(value, edge), xtol=1e-10)
    if score(edge) < -z:
        high = optimize.brentq(lambda d: score(d) + z, max(value, -edge), edge, xtol=1e-10)
    return Interval(value=value, low=float(low), high=float(high))


def bootstrap_ratio(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    confidence: float,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval | None:
    """BCa bootstrap interval of sum(numerators) / sum(denominators), units resampled together.

    ``[units]`` each. With ones as denominators it is the mean; with the paired differences of two
    variants as numerators, the interval of their difference (paired bootstrap); with tokens as
    denominators, a figure per token whose unit of resampling stays the document. None with fewer
    than ``LEAST_UNITS`` units. Bias-corrected and accelerated: Efron, JASA 82, 1987; acceleration
    from the jackknife (Efron and Tibshirani, 1993, equation 14.15).
    """
    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    if len(top) < LEAST_UNITS:
        return None
    value = float(top.sum() / bottom.sum())
    resampled = _resampled_ratios(top, bottom, resamples, np.random.default_rng(seed))
    jackknife = (top.sum() - top) / (bottom.sum() - bottom)
    low, high = _bca_quantiles(resampled, value, jackknife, confidence)
    return Interval(value=value, low=low, high=high)


def _resampled_ratios(
    top: Floats, bottom: Floats, resamples: int, rng: np.random.Generator
) -> Floats:
    rows = max(1, _BLOCK_INDICES // len(top))
    parts = []
    for start in range(0, resamples, rows):
        drawn = rng.integers(0, len(top), size=(min(rows, resamples - start), len(top)))
        parts.append(top[drawn].sum(axis=1) / bottom[drawn].sum(axis=1))
    return np.concatenate(parts)


def _bca_quantiles(
    resampled: Floats, value: float, jackknife: Floats, confidence: float
) -> tuple[float, float]:
    """The bounds of the BCa interval; the value itself where no resample differs."""
    if np.ptp(resampled) == 0:
        return float(resampled[0]), float(resampled[0])
    # Ties count half, so that a discrete statistic is not taken for a biased one.
    below = (np.mean(resampled < value) + np.mean(resampled <= value)) / 2
    bias = float(stats.norm.ppf(np.clip(below, 0.5 / len(resampled), 1 - 0.5 / len(resampled))))
    away = jackknife.mean() - jackknife
    spread = float((away**2).sum())
    acceleration = float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    tail = z_value(confidence) * np.array([-1.0, 1.0])
    shifted = bias + (bias + tail) / (1 - acceleration * (bias + tail))
    low, high = np.quantile(resampled, stats.norm.cdf(shifted))
    return float(low), float(high)


def decide_non_inferiority(loss: Interval, margin: float, *, noise_floor: float = 0.0) -> Decision:
    """Whether a loss (positive is bad) stays within a margin.

    ``equal_or_better``: the whole interval lies at or below the margin. ``worse``: all of it lies
    beyond the margin even after the noise floor is taken off, because what two passes of the
    baseline differ by is not charged to a variant. The noise floor never helps to prove.
    """
    if loss.high <= margin:
        return "equal_or_better"
    return "worse" if loss.low - noise_floor > margin else "undecided"


def items_needed(
    items: int, loss: Interval, margin: float, confidence: float, power: float = POWER
) -> int | None:
    """How many items would prove the loss to lie within the margin, with the given power.

    The standard error is read from the interval and shrinks with the root of the items:
    n = items * ((z + z_power) * standard error / (margin - loss))^2. None where the measured loss
    is at or beyond the margin: more items would rather prove the opposite.
    """
    room = margin - loss.value
    if room <= 0:
        return None
    z = z_value(confidence)
    error = (loss.high - loss.low) / (2 * z)
    needed = items * ((z + float(stats.norm.ppf(power))) * error / room) ** 2
    return max(1, math.ceil(needed))
