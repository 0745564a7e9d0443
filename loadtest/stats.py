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
- Few documents, of very unequal lengths and losses: see ``bootstrap_ratio``.
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
RATIO_RESAMPLES, BLOCK_RESAMPLES, SLOPE_RESAMPLES = 2000, 1000, 500
# A resample of fewer units says little about the spread of the population.
LEAST_UNITS = 10
# No unit counts for more than this share of all where the others tell how it differs.
MOST_WEIGHT = 0.9
# Differences that are smaller than this part of what they are of, are none.
_ROUNDING = 1e-12
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
    """Interval of sum(numerators) / sum(denominators), to each side the wider of two.

    ``[units]`` each. With ones as denominators it is the mean; with the paired differences of two
    variants as numerators, the interval of their difference (paired bootstrap); with tokens as
    denominators, a figure per token whose unit of resampling stays the document. No bounds with
    fewer than ``LEAST_UNITS`` units.

    One is Student's with the jackknife's error and as many units as weights so unequal count for
    (Kish, Survey Sampling, 1965, section 11.7), the other the bootstrap-t of units that are
    resampled together (Hall, Annals of Statistics 16, 1988), which sees that they are lopsided.
    The first alone misses to one side of lopsided units, the second, as BCa's, is too narrow for
    few units of unequal weights.
    """
    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    total = float(bottom.sum())
    value = float(top.sum() / total)
    if len(top) < LEAST_UNITS:
        return Estimate(value=value)
    rest = top - value * bottom
    error = math.sqrt(float((rest**2).sum())) / total
    # A unit that alone had all the weight would have nothing left to be held against.
    jackknife = float(np.linalg.norm(rest / (1 - np.minimum(bottom / total, MOST_WEIGHT)))) / total
    if error <= abs(value) * _ROUNDING:
        return Estimate(value=value, low=value, high=value)
    student = float(special.stdtrit(_units(bottom) - 1, 0.5 + confidence / 2))
    scores = _resampled_scores(top, bottom, value, resamples, np.random.default_rng(seed))
    tail = (1 - confidence) / 2
    low, high = np.clip(np.quantile(scores, [tail, 1 - tail]), -2 * student, 2 * student)
    return Estimate(
        value=value,
        low=value - max(student * jackknife, float(high) * error),
        high=value + max(student * jackknife, -float(low) * error),
    )


def _units(weights: Floats) -> float:
    """As how many units of equal weights they count."""
    return max(2.0, float(weights.sum() ** 2 / (weights**2).sum()))


def _resampled_scores(
    top: Floats, bottom: Floats, value: float, resamples: int, rng: np.random.Generator
) -> Floats:
    """By how many of its own errors each resample's ratio lies above the value.

    One in which no unit differs has no error: it lies as far away as can be, or nowhere.
    """
    units, rows = len(top), max(1, _BLOCK_INDICES // len(top))
    parts = []
    for start in range(0, resamples, rows):
        drawn = rng.integers(0, units, size=(min(rows, resamples - start), units))
        one, other = top[drawn], bottom[drawn]
        products = ((one, one), (one, other), (other, other))
        moments = [np.einsum("ij,ij->i", *pair) for pair in products]
        parts.append(np.stack([one.sum(axis=1), other.sum(axis=1), *moments], axis=1))
    sums = np.concatenate(parts)
    up, down = sums[:, 0], sums[:, 1]
    kept = down > 0
    ratio = up[kept] / down[kept]
    squares = sums[kept, 2] - 2 * ratio * sums[kept, 3] + ratio**2 * sums[kept, 4]
    away = (ratio - value) * down[kept]
    errors = np.sqrt(np.maximum(squares, (_ROUNDING * away) ** 2 + np.finfo(float).tiny))
    scores: Floats = away / errors
    return scores


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
