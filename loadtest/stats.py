"""Intervals and tests of load figures, quality and soak: pure, seeded functions over arrays.

All intervals are two-sided. What scipy has is scipy's; ours are Tango's interval, the bootstrap of
a ratio of sums, and those of what does not vary independently:

- Requests of a batching engine: the users of a closed loop soon move in step. So blocks are
  resampled and not requests; how many requests make a block, the load point knows. Rounds lie
  minutes apart and differ by more than blocks do, so whole rounds are resampled (cluster
  bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8); of
  one or two rounds the blocks within each are drawn as well.
- Few units: resamples of n units spread by sqrt((n - 1) / n) too little, and their quantiles are
  the normal distribution's where Student's are meant. Intervals are widened by both ("expanded
  percentile interval": Hesterberg, The American Statistician 69, 2015, section 5.3).
- A series in time: what is left around its line is resampled in blocks that are long against the
  steps of an allocator, which takes a chunk and keeps it (moving block bootstrap: Künsch, Annals
  of Statistics 17, 1989). One step thus widens the interval instead of passing for a growth.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from loadtest.intervals import Estimate

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Of load figures and slopes; of quality the plan says it.
CONFIDENCE = 0.95
# Resamples of a ratio's units, of rounds and blocks, and of a slope's blocks.
RATIO_RESAMPLES, BLOCK_RESAMPLES, SLOPE_RESAMPLES = 4000, 1000, 500
# A resample of fewer units says little about the spread of the population.
LEAST_UNITS = 10
# Fewer rounds say too little of how rounds differ.
LEAST_WHOLE_ROUNDS = 3
# With fewer blocks an interval would only look like one.
LEAST_BLOCKS = 3
# A slope's series is cut into blocks of a sixth: eight and a half minutes of an hour's run.
SLOPE_BLOCKS, LEAST_SAMPLES = 6, 12
# More samples than this are averaged: the pairs grow with the square.
MOST_SAMPLES = 160
# Memory for one block of resampled indices: 2^22 of them, 32 MiB.
_BLOCK_INDICES = 1 << 22


def z_value(confidence: float) -> float:
    """The standard normal quantile of a two-sided interval: 1.96 for 0.95."""
    return normal_quantile(0.5 + confidence / 2)


def normal_quantile(share: float) -> float:
    """The value that a standard normal variable stays below with that probability."""
    return float(special.ndtri(share))


def wilson_interval(successes: int, trials: int, confidence: float) -> Estimate:
    """Wilson's score interval of a proportion (Wilson, JASA 22, 1927)."""
    low, high = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return Estimate(value=successes / trials, low=float(low), high=float(high))


def mcnemar_exact(to_wrong: int, to_right: int) -> float:
    """McNemar's exact two-sided p-value: a fair coin for every answer that changed.

    1.0 where nothing changed. McNemar, Psychometrika 12, 1947; exact form: binomial test, whose two
    tails are alike for a fair coin.
    """
    changed = to_wrong + to_right
    return min(1.0, 2 * float(special.bdtr(min(to_wrong, to_right), changed, 0.5)))


def paired_proportion_interval(
    to_wrong: int, to_right: int, items: int, confidence: float
) -> Estimate:
    """Tango's score interval of the difference of two paired proportions, (gained - lost) / items.

    Unlike a bootstrap it stays honest where few or no answers changed: without a change it is
    +- z^2 / (items + z^2), so twenty equal answers do not prove equality. Tango, Statistics in
    Medicine 17, 1998: the values d whose score statistic
    T(d) = (gained - lost - items d) / sqrt(items (2 q(d) + d (1 - d))) lies within +-z, with q the
    maximum-likelihood estimate of the share lost under d.
    """
    z = z_value(confidence)

    def score(d: float) -> float:
        return tango_score(to_wrong, to_right, items, d)

    value, edge = (to_right - to_wrong) / items, 1 - 1e-12
    low, high = -1.0, 1.0
    if score(-edge) > z:
        low = optimize.brentq(lambda d: score(d) - z, -edge, min(value, edge), xtol=1e-10)
    if score(edge) < -z:
        high = optimize.brentq(lambda d: score(d) + z, max(value, -edge), edge, xtol=1e-10)
    return Estimate(value=value, low=float(low), high=float(high))


def tango_score(to_wrong: int, to_right: int, items: int, d: float) -> float:
    """Tango's score statistic of "the difference is ``d``": standard normal where it is.

    With d = -margin, 1 - Phi of it is the one-sided p-value of non-inferiority, and the interval
    above lies over -margin exactly where that is below half of what the interval leaves out.
    """
    a = 2.0 * items
    b = -to_right - to_wrong + (2 * items - to_right + to_wrong) * d
    c = -to_wrong * d * (1 - d)
    lost = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = items * (2 * lost + d * (1 - d))
    return (to_right - to_wrong - items * d) / math.sqrt(max(variance, 1e-300))


def upper_tail(score: float) -> float:
    """The probability that a standard normal variable exceeds a value."""
    return float(special.ndtr(-score))


def widened(units: float, confidence: float) -> float:
    """By how much the interval of a resampled mean of so many units is to be wider (1.44 of 6)."""
    student = float(special.stdtrit(units - 1, 0.5 + confidence / 2))
    return student / z_value(confidence) * math.sqrt(units / (units - 1))


def bootstrap_ratio(
    numerators: npt.ArrayLike,
    denominators: npt.ArrayLike,
    confidence: float,
    *,
    seed: int = 0,
    resamples: int = RATIO_RESAMPLES,
) -> Estimate:
    """BCa bootstrap interval of sum(numerators) / sum(denominators), units resampled together.

    ``[units]`` each. With ones as denominators it is the mean; with the paired differences of two
    variants as numerators, the interval of their difference (paired bootstrap); with tokens as
    denominators, a figure per token whose unit of resampling stays the document. No bounds with
    fewer than ``LEAST_UNITS`` units. Bias-corrected and accelerated: Efron, JASA 82, 1987;
    acceleration from the jackknife (Efron and Tibshirani, 1993, equation 14.15).
    """
    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    value = float(top.sum() / bottom.sum())
    if len(top) < LEAST_UNITS:
        return Estimate(value=value)
    resampled = _resampled_ratios(top, bottom, resamples, np.random.default_rng(seed))
    jackknife = (top.sum() - top) / (bottom.sum() - bottom)
    # Units of very different weights count as fewer (Kish, Survey Sampling, 1965, section 11.7).
    units = max(2.0, float(bottom.sum() ** 2 / (bottom**2).sum()))
    tail = widened(units, confidence) * z_value(confidence)
    low, high = _bca_quantiles(resampled, value, jackknife, tail)
    return Estimate(value=value, low=low, high=high)


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
    resampled: Floats, value: float, jackknife: Floats, reach: float
) -> tuple[float, float]:
    """The bounds of the BCa interval that reaches ``reach`` standard errors to both sides.

    The value itself where no resample differs.
    """
    if np.ptp(resampled) == 0:
        return float(resampled[0]), float(resampled[0])
    # Ties count half, so that a discrete statistic is not taken for a biased one.
    below = (np.mean(resampled < value) + np.mean(resampled <= value)) / 2
    bias = float(stats.norm.ppf(np.clip(below, 0.5 / len(resampled), 1 - 0.5 / len(resampled))))
    away = jackknife.mean() - jackknife
    spread = float((away**2).sum())
    acceleration = float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    tail = reach * np.array([-1.0, 1.0])
    shifted = bias + (bias + tail) / (1 - acceleration * (bias + tail))
    low, high = np.quantile(resampled, stats.norm.cdf(shifted))
    return float(low), float(high)


def draw_rounds(rounds: int, rng: np.random.Generator) -> Counts:
    """How often each round is drawn in every resample: ``[BLOCK_RESAMPLES, rounds]``."""
    return rng.multinomial(rounds, np.full(rounds, 1 / rounds), size=BLOCK_RESAMPLES)


def draw_blocks(rounds: Counts, drawn: Counts, rng: np.random.Generator) -> Counts:
    """How often each block is drawn per resample, given the rounds: ``[BLOCK_RESAMPLES, blocks]``.

    ``rounds`` says of every block in which round it lies, ``drawn`` is of ``draw_rounds``. Rounds
    are drawn whole, but for the blocks of so few.
    """
    if drawn.shape[1] >= LEAST_WHOLE_ROUNDS:
        return drawn[:, np.unique(rounds, return_inverse=True)[1]]
    counts = np.zeros((BLOCK_RESAMPLES, len(rounds)), dtype=np.int64)
    for column, number in enumerate(np.unique(rounds)):
        places = np.flatnonzero(rounds == number)
        share = np.full(len(places), 1 / len(places))
        counts[:, places] = rng.multinomial(drawn[:, column] * len(places), share)
    return counts


def estimate(value: float, resampled: Floats, blocks: int, rounds: int) -> Estimate:
    """The value with the interval of its resamples, or without where blocks are few.

    What was resampled are ``rounds``, or ``blocks`` where these are few. No bound of a figure that
    is nowhere negative is; beside an infinite value the resamples' own quantiles stand.
    """
    kept = resampled[~np.isnan(resampled)]
    if blocks < LEAST_BLOCKS or not len(kept):
        return Estimate(value=value)
    low, high = _percentile_interval(kept)
    if not np.isfinite([value, *kept]).all():
        return Estimate(value=value, low=low, high=high)
    units = rounds if rounds >= LEAST_WHOLE_ROUNDS else blocks
    # As wide as Student's interval and as lopsided as the resamples: of few units these lack tails.
    reach = widened(units, CONFIDENCE) * z_value(CONFIDENCE) * float(kept.std())
    by = 2 * reach / (high - low) if high > low else 1.0
    low, high = (value + by * (bound - value) for bound in (low, high))
    return Estimate(value=value, low=max(low, 0.0) if kept.min() >= 0 else low, high=high)


def _percentile_interval(resampled: Floats) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    shares = [tail, 1 - tail]
    if np.isfinite(resampled).all():
        low, high = np.quantile(resampled, shares)
    else:  # beside an infinite value there is nothing to be interpolated
        low, high = np.quantile(resampled, shares, method="inverted_cdf")
    return float(low), float(high)


def slope_of(times: Floats, values: Floats, *, seed: int = 0) -> Estimate | None:
    """Slope and interval of a series in order of time; None of fewer than ``LEAST_SAMPLES``.

    The slope is Theil and Sen's, the median of the slopes of all pairs of samples, which no single
    peak moves (Sen, JASA 63, 1968). The resamples share their times, so their pairs are formed
    once: through ``theilslopes``, which sorts them for an interval of its own, all would take
    four times as long.
    """
    if len(times) < LEAST_SAMPLES:
        return None
    times, values = _thinned(times), _thinned(values)
    value = float(stats.theilslopes(values, times).slope)
    line = value * times
    rest = values - line
    centred = rest - rest.mean()
    block = max(2, len(times) // SLOPE_BLOCKS)
    sooner, later = np.triu_indices(len(times), k=1)
    passed = times[later] - times[sooner]
    rng = np.random.default_rng(seed)
    slopes = np.empty(SLOPE_RESAMPLES)
    for number in range(SLOPE_RESAMPLES):
        starts = rng.integers(0, len(times) - block + 1, size=-(-len(times) // block))
        places = (starts[:, None] + np.arange(block)).ravel()[: len(times)]
        bent = line + centred[places]
        slopes[number] = np.median((bent[later] - bent[sooner]) / passed)
    low, high = _percentile_interval(slopes)
    return Estimate(value=value, low=min(low, value), high=max(high, value))


def _thinned(series: Floats) -> Floats:
    """The series, or the means of as many neighbours as make it short enough."""
    width = -(-len(series) // MOST_SAMPLES)
    kept = len(series) // width * width
    means: Floats = series[len(series) - kept :].reshape(-1, width).mean(axis=1)
    return means
