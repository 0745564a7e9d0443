"""Confidence intervals for figures of a closed loop, by resampling rounds and blocks of requests.

Requests of a batching engine are not independent: the users of a closed loop soon move in step.
So blocks are resampled and not requests, a block being as many requests, in the order of sending,
as there are users. Rounds lie minutes apart and differ by more than blocks do, so they are
resampled first (two-stage cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their
Application, 1997, section 3.8), and then the blocks within each round drawn.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from loadtest.load_file import Estimate
from loadtest.records import RequestRecord

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Block = list[RequestRecord]

RESAMPLES = 1000
CONFIDENCE = 0.95
# With fewer blocks an interval would only look like one.
LEAST_BLOCKS = 3


def blocks_of(records: Sequence[RequestRecord]) -> list[Block]:
    """Cut the records of one concurrency into blocks, none across two rounds."""
    blocks: list[Block] = []
    for number in sorted({record.round for record in records}):
        mine = sorted((r for r in records if r.round == number), key=lambda r: r.send_s)
        size = mine[0].concurrency
        blocks += [mine[start : start + size] for start in range(0, len(mine), size)]
    return blocks


def draw_rounds(rounds: int, rng: np.random.Generator) -> Counts:
    """How often each of ``rounds`` rounds is drawn in every resample: ``[RESAMPLES, rounds]``."""
    return rng.multinomial(rounds, np.full(rounds, 1 / rounds), size=RESAMPLES)


def draw_blocks(blocks: Sequence[Block], drawn: Counts, rng: np.random.Generator) -> Counts:
    """How often each block is drawn per resample, given the rounds: ``[RESAMPLES, blocks]``."""
    rounds = np.array([block[0].round for block in blocks])
    counts = np.zeros((RESAMPLES, len(blocks)), dtype=np.int64)
    for column, number in enumerate(np.unique(rounds)):
        places = np.flatnonzero(rounds == number)
        share = np.full(len(places), 1 / len(places))
        counts[:, places] = rng.multinomial(drawn[:, column] * len(places), share)
    return counts


def estimate(value: float, resampled: Floats, blocks: int) -> Estimate:
    """The value with the percentile interval of its resamples, or without where blocks are few."""
    kept = resampled[np.isfinite(resampled)]
    if blocks < LEAST_BLOCKS or not len(kept):
        return Estimate(value=value, low=None, high=None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(kept, [tail, 1 - tail])
    return Estimate(value=value, low=float(low), high=float(high))


def wilson(successes: float, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The bounds of Wilson's score interval of a proportion (Wilson, JASA 22, 1927)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, scale = successes / trials, 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low = 0.0 if successes == 0 else centre - half
    return low, 1.0 if successes == trials else centre + half
