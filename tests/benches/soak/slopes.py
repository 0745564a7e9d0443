"""How fast a process grows, and whether that is a leak: a robust slope and its interval.

The slope is Theil and Sen's: the median of the slopes of all pairs of samples, which no single
peak moves (Sen, JASA 63, 1968). Memory does not vary independently from sample to sample: an
allocator takes a chunk and keeps it, so what is left around the line is resampled in blocks that
are long against such steps (moving block bootstrap: Künsch, Annals of Statistics 17, 1989). A
single step thus widens the interval instead of passing for a steady growth.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Growth = Literal["flat", "not proven", "grows"]

RESAMPLES = 500
CONFIDENCE = 0.95
# Blocks of a sixth of the series: eight and a half minutes of an hour's run.
BLOCKS = 6
LEAST_SAMPLES = 12
# More samples than this are averaged: the pairs grow with the square.
MOST_SAMPLES = 160


@dataclass(frozen=True, kw_only=True)
class Slope:
    """A slope and its two-sided 95 % interval, per unit of time."""

    value: float
    low: float
    high: float

    def growth(self, limit: float) -> Growth:
        """``flat``: all of the interval within the limit; ``grows``: all of it beyond."""
        if self.high <= limit:
            return "flat"
        return "grows" if self.low > limit else "not proven"


def theil_sen(times: Floats, values: Floats) -> float:
    """The median slope of all pairs of samples."""
    first, second = np.triu_indices(len(times), k=1)
    return float(np.median((values[second] - values[first]) / (times[second] - times[first])))


def slope_of(times: Floats, values: Floats, *, seed: int = 0) -> Slope | None:
    """Slope and interval of a series in order of time; None of fewer than ``LEAST_SAMPLES``."""
    if len(times) < LEAST_SAMPLES:
        return None
    times, values = _thinned(times), _thinned(values)
    value = theil_sen(times, values)
    line = value * times
    rest = values - line
    centred = rest - rest.mean()
    block = max(2, len(times) // BLOCKS)
    rng = np.random.default_rng(seed)
    slopes = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        starts = rng.integers(0, len(times) - block + 1, size=-(-len(times) // block))
        places = (starts[:, None] + np.arange(block)).ravel()[: len(times)]
        slopes[number] = theil_sen(times, line + centred[places])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(slopes, [tail, 1 - tail])
    return Slope(value=value, low=min(float(low), value), high=max(float(high), value))


def _thinned(series: Floats) -> Floats:
    """The series, or the means of as many neighbours as make it short enough."""
    width = -(-len(series) // MOST_SAMPLES)
    kept = len(series) // width * width
    means: Floats = series[len(series) - kept :].reshape(-1, width).mean(axis=1)
    return means
