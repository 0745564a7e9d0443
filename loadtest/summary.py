"""From raw records to figures. Pure functions; the definitions are printed in the report.

All of them take the records of **one variant at one load point** and use the counted ones: those
sent in the measuring window, each followed to its end while the load went on (``levels.py``).

- TTFT: send to first non-empty chunk. End-to-end: send to last chunk with a token. In an open loop
  both begin when the request was due. TPOT: (end-to-end - TTFT) / (output tokens - 1). As NVIDIA
  AIPerf defines them; GuideLLM calls this TPOT "ITL", and its "TPOT" includes TTFT.
- Output throughput: sum of output tokens / the wall time for which the requests stand, which the
  load point tells. Of a closed loop it is the sum of cycles / concurrency, a cycle being a user's
  time from the end of its last answer to the end of this one: by Little's law the rate at full
  load. The usual quotient, tokens / (last response - first send), is the same in the long run, but
  loses up to a request per user at either edge: for a window that is not much longer than a
  request it would call slow variants slower than they are.
- Request rate and goodput: the same with 1 per request, or per request that meets the SLO.
  A failed request gives no tokens and meets no SLO, yet its cycle counts.
- A percentile is the smallest value that at least that share of the sample does not exceed
  (nearest rank), over the requests that succeeded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from typing import Literal

import numpy as np

from deploy.plan_sections import Slo
from loadtest.intervals import Estimate
from loadtest.load_point import LEAST_FOR_MEDIAN
from loadtest.records import RequestRecord
from loadtest.stats import (
    CONFIDENCE,
    Counts,
    Floats,
    draw_blocks,
    draw_rounds,
    estimate,
    wilson_interval,
)

Block = list[RequestRecord]

Metric = Literal["ttft_s", "tpot_s", "e2e_s", "service_e2e_s"]
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_RISK = 0.01


@dataclass(frozen=True, kw_only=True)
class Goodput:
    """Requests that met every objective: per second, and as a share of all (0 to 1)."""

    per_s: Estimate
    share: Estimate


@cache
def samples_required(share: float) -> int:
    """How many requests certify the percentile ``share`` (0.9 for p90): 64 for p90, 662 for p99.

    The smallest n for which, with 99 % confidence, at least two of n samples lie beyond the true
    percentile: P[Binomial(n, 1 - share) <= 1] <= 0.01. This is the smallest query count of MLPerf
    LoadGen's early-stopping rule (mlcommons/inference, loadgen/early_stopping.cc). The median is
    no tail: five samples are enough to print it, its interval says the rest.
    """
    if share <= 0.5:
        return LEAST_FOR_MEDIAN
    beyond, n = 1 - share, 2
    while sum(comb(n, k) * beyond**k * share ** (n - k) for k in (0, 1)) > _RISK:
        n += 1
    return n


def counted(records: Sequence[RequestRecord]) -> list[RequestRecord]:
    """The measured requests, failed ones among them.

    Raises:
        ValueError: records of more than one variant or load point, or none that was counted.
    """
    places = {(record.variant, record.point.place) for record in records}
    if len(places) > 1:
        raise ValueError(f"records of several variants or load points: {sorted(places)}")
    kept = [record for record in records if record.counted]
    if not kept:
        raise ValueError(f"no counted request among {len(records)} of {sorted(places)}")
    return kept


def blocks_of(records: Sequence[RequestRecord]) -> list[Block]:
    """Cut the records of one load point into blocks, none across two rounds."""
    blocks: list[Block] = []
    for number in sorted({record.round for record in records}):
        mine = sorted((r for r in records if r.round == number), key=lambda r: r.send_s)
        size = mine[0].point.block
        blocks += [mine[start : start + size] for start in range(0, len(mine), size)]
    return blocks


def _rounds_of(blocks: Sequence[Block]) -> Counts:
    """The round in which each block lies."""
    return np.array([block[0].round for block in blocks])


def _draw(blocks: Sequence[Block], seed: int) -> Counts:
    """How often each block is drawn per resample: rounds first, then blocks within them."""
    rng, rounds = np.random.default_rng(seed), _rounds_of(blocks)
    return draw_blocks(rounds, draw_rounds(len(np.unique(rounds)), rng), rng)


def percentiles(
    records: Sequence[RequestRecord], metric: Metric, *, seed: int = 0
) -> dict[str, Estimate]:
    """The percentiles of a latency that the sample certifies, in seconds, with intervals."""
    good = [r for r in counted(records) if r.error is None and getattr(r, metric) is not None]
    shares = {k: q for k, q in PERCENTILES.items() if len(good) >= samples_required(q)}
    if not shares:
        return {}
    blocks = blocks_of(good)
    values = np.array([getattr(r, metric) for block in blocks for r in block])
    order = np.argsort(values)
    member = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])[order]
    sorted_values, wanted = values[order], np.array(list(shares.values()))
    counts = _draw(blocks, seed)
    once = np.ones(len(good), dtype=np.int64)
    resampled = np.array([_nearest_rank(sorted_values, row[member], wanted) for row in counts])
    measured = _nearest_rank(sorted_values, once, wanted)
    return {
        key: estimate(float(measured[column]), resampled[:, column], len(blocks))
        for column, key in enumerate(shares)
    }


def _nearest_rank(values: Floats, weights: Counts, shares: Floats) -> Floats:
    """Percentiles of ascending ``values`` that stand ``weights`` times each in the sample."""
    rank = np.cumsum(weights)
    # The tolerance keeps 0.9 * 10 from asking for the tenth of ten.
    found: Floats = values[np.searchsorted(rank, shares * rank[-1] - 1e-9)]
    return found


def output_throughput(records: Sequence[RequestRecord], *, seed: int = 0) -> Estimate:
    """Output tokens per second of the whole endpoint at this load point."""
    return _rate(records, _tokens, seed)


def request_rate(records: Sequence[RequestRecord], *, seed: int = 0) -> Estimate:
    """Successful requests per second at this load point."""
    return _rate(records, lambda record: float(record.error is None), seed)


def goodput(records: Sequence[RequestRecord], slo: Slo, *, seed: int = 0) -> Goodput:
    """Requests per second that meet every objective; errors count in the denominator."""
    kept = counted(records)
    return Goodput(
        per_s=_rate(records, lambda record: float(meets(record, slo)), seed),
        share=_share(kept, slo, seed),
    )


def _share(kept: Sequence[RequestRecord], slo: Slo, seed: int) -> Estimate:
    """The share of requests that meet the objectives.

    Its interval covers two others: the resampling of rounds and blocks, which knows that requests
    of a batch succeed together, and Wilson's, because resampling a sample without a miss never
    shows one.
    """
    blocks = blocks_of(kept)
    met = np.array([sum(meets(r, slo) for r in block) for block in blocks])
    sizes = np.array([len(block) for block in blocks])
    counts = _draw(blocks, seed)
    wilson = wilson_interval(int(met.sum()), len(kept), CONFIDENCE)
    resampled = estimate(wilson.value, (counts @ met) / (counts @ sizes), len(blocks))
    ends = [*(wilson.bounds or ()), *(resampled.bounds or ())]
    return Estimate(value=wilson.value, low=min(ends), high=max(ends))


def meets(record: RequestRecord, slo: Slo) -> bool:
    """Whether a request succeeded within every objective that is asked for."""
    if record.error is not None:
        return False
    limits = ((record.ttft_s, slo.ttft_s), (record.tpot_s, slo.tpot_s), (record.e2e_s, slo.e2e_s))
    return all(limit is None or (it is not None and it <= limit) for it, limit in limits)


def token_rate(records: Sequence[RequestRecord]) -> float:
    """Output tokens per second of the given requests, whichever they are."""
    return _plain_rate(records, _tokens)


def goodput_rate(records: Sequence[RequestRecord], slo: Slo) -> float:
    """Of the given requests, how many per second meet every objective."""
    return _plain_rate(records, lambda record: float(meets(record, slo)))


def _plain_rate(records: Sequence[RequestRecord], worth: Callable[[RequestRecord], float]) -> float:
    seconds = records[0].point.seconds([record.cycle_s for record in records])
    return sum(worth(record) for record in records) / seconds if seconds > 0 else 0.0


def _tokens(record: RequestRecord) -> float:
    return float(record.output_tokens) if record.error is None else 0.0


def _rate(
    records: Sequence[RequestRecord], worth: Callable[[RequestRecord], float], seed: int
) -> Estimate:
    kept = counted(records)
    rng = np.random.default_rng(seed)
    drawn = draw_rounds(len({r.round for r in kept}), rng)
    value, resampled = _resampled_rate(kept, worth, drawn, rng)
    return estimate(value, resampled, len(blocks_of(kept)))


def _resampled_rate(
    kept: Sequence[RequestRecord],
    worth: Callable[[RequestRecord], float],
    drawn: Counts,
    rng: np.random.Generator,
) -> tuple[float, Floats]:
    """Sum of ``worth`` / the wall time of the requests: measured, and in every resample."""
    blocks = blocks_of(kept)
    gained = np.array([sum(worth(r) for r in block) for block in blocks])
    point = kept[0].point
    seconds = np.array([point.seconds([r.cycle_s for r in block]) for block in blocks])
    counts = draw_blocks(_rounds_of(blocks), drawn, rng)
    return float(gained.sum() / seconds.sum()), (counts @ gained) / (counts @ seconds)
