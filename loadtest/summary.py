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
  A failed request gives no tokens and meets no SLO, yet its cycle counts. An intruder's tokens
  count, and it is no part of goodput.
- TTFO: as TTFT, to the first token that is no reasoning. A gap lies between two chunks with tokens
  (ITL of a chunk). A stall is a gap of at least ``STALL_S``, and ten times the median gap where
  that is more.
- A percentile is the smallest value that at least that share of the sample does not exceed
  (nearest rank), over all requests: the latency of one that failed is infinite (as AIPerf's
  ``adj_`` percentiles). Only intruders, sent to disturb the others, are left out.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from deploy.plan_sections import Slo
from loadtest.clustered import share_estimate, tail_estimate
from loadtest.intervals import Estimate
from loadtest.load_point import LEAST_FOR_MEDIAN
from loadtest.records import RequestRecord
from loadtest.stats import (
    Counts,
    Floats,
    draw_blocks,
    draw_rounds,
    estimate,
)

Block = list[RequestRecord]

Metric = Literal["ttft_s", "ttfo_s", "tpot_s", "e2e_s", "service_e2e_s"]
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
GAP_PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
# A gap of so long, and of so many times the median one, is a stall.
STALL_S, STALL_TIMES = 0.5, 10
_RISK = 0.01
# Beyond the median an interval is that of a tail.
MIDDLE = 0.5


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
    while sum(math.comb(n, k) * beyond**k * share ** (n - k) for k in (0, 1)) > _RISK:
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


def _count(blocks: Sequence[Block]) -> int:
    """How many rounds there are."""
    return len(np.unique(_rounds_of(blocks)))


def _draw(blocks: Sequence[Block], seed: int) -> Counts:
    """How often each block is drawn per resample: rounds first, then blocks within them."""
    rng, rounds = np.random.default_rng(seed), _rounds_of(blocks)
    return draw_blocks(rounds, draw_rounds(_count(blocks), rng), rng)


def percentiles(
    records: Sequence[RequestRecord], metric: Metric, *, seed: int = 0
) -> dict[str, Estimate]:
    """The percentiles of a latency that the sample certifies, in seconds, with intervals."""

    def values(record: RequestRecord) -> tuple[float, ...]:
        if record.intruder:
            return ()
        latency: float | None = getattr(record, metric)
        return (math.inf,) if record.error else () if latency is None else (latency,)

    return _percentiles(counted(records), values, PERCENTILES, seed)


def gap_percentiles(records: Sequence[RequestRecord], *, seed: int = 0) -> dict[str, Estimate]:
    """The percentiles of the gaps between chunks, in seconds, of requests that succeeded."""
    return _percentiles(counted(records), _gaps, GAP_PERCENTILES, seed)


def _gaps(record: RequestRecord) -> tuple[float, ...]:
    return () if record.error or record.intruder else record.gaps_s


def _percentiles(
    kept: Sequence[RequestRecord],
    values_of: Callable[[RequestRecord], tuple[float, ...]],
    all_shares: Mapping[str, float],
    seed: int,
) -> dict[str, Estimate]:
    """Percentiles of what each request brings, any number of values; requests are resampled."""
    blocks = [block for block in blocks_of(kept) if any(values_of(r) for r in block)]
    found = [[it for r in block for it in values_of(r)] for block in blocks]
    values = np.array([it for block in found for it in block])
    shares = {k: q for k, q in all_shares.items() if len(values) >= samples_required(q)}
    if not shares:
        return {}
    ranked = np.sort(values)
    measured = _nearest_rank(
        ranked, np.ones(len(values), dtype=np.int64), np.array(list(shares.values()))
    )
    return {
        key: _middle(float(value), found, blocks, share, seed)
        if share <= MIDDLE
        else _tail(float(value), found, blocks, share)
        for (key, share), value in zip(shares.items(), measured, strict=True)
    }


def _middle(
    value: float, found: Sequence[Sequence[float]], blocks: Sequence[Block], share: float, seed: int
) -> Estimate:
    """A median with the interval of its resamples."""
    values = np.array([it for block in found for it in block])
    order = np.argsort(values)
    member = np.repeat(np.arange(len(blocks)), [len(block) for block in found])[order]
    ranked, wanted = values[order], np.array([share])
    resampled = [_nearest_rank(ranked, row[member], wanted)[0] for row in _draw(blocks, seed)]
    return estimate(value, np.array(resampled), len(blocks), _count(blocks))


def _tail(
    value: float, found: Sequence[Sequence[float]], blocks: Sequence[Block], share: float
) -> Estimate:
    """A high percentile, with its interval where as many blocks as requests are asked for say it.

    The requests of a block move together: they certify no more than one of them does.
    """
    if len(blocks) < samples_required(share):
        return Estimate(value=value)
    return tail_estimate(value, [np.array(it) for it in found], _rounds_of(blocks), share)


def _nearest_rank(values: Floats, weights: Counts, shares: Floats) -> Floats:
    """Percentiles of ascending ``values`` that stand ``weights`` times each in the sample."""
    rank = np.cumsum(weights)
    # The tolerance keeps 0.9 * 10 from asking for the tenth of ten.
    found: Floats = values[np.searchsorted(rank, shares * rank[-1] - 1e-9)]
    return found


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a load, told of apart: some seconds of a ramp, or the second turns of all sessions.

    ``prompt_tokens`` is their mean; the medians (s) are of all its requests, None where they are
    too few, or most have failed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    requests: int
    errors: int
    prompt_tokens: float
    ttft_p50_s: float | None
    e2e_p50_s: float | None


def parts(records: Sequence[RequestRecord]) -> tuple[Part, ...]:
    """The parts of a load in their order, intruders last; empty where it is the same all over."""
    kept = counted(records)
    ends = {n: _window(r for r in kept if r.round == n) for n in {r.round for r in kept}}
    named: dict[str, list[RequestRecord]] = {}

    def order(record: RequestRecord) -> tuple[bool, int, float]:
        return record.intruder, record.turn or 0, record.scheduled_s - ends[record.round][0]

    for record in sorted(kept, key=order):
        first_s, length_s = ends[record.round]
        passed = (record.scheduled_s - first_s) / length_s if length_s > 0 else 0.0
        name = record.point.part_of(passed, record.turn, intruder=record.intruder)
        named.setdefault(name, []).append(record)
    return tuple(_part(name, mine) for name, mine in named.items() if name)


def _window(records: Iterable[RequestRecord]) -> tuple[float, float]:
    """When the first request was due, and how long after it the last (s)."""
    dues_s = [record.scheduled_s for record in records]
    return min(dues_s), max(dues_s) - min(dues_s)


def _part(name: str, records: Sequence[RequestRecord]) -> Part:
    return Part(
        name=name,
        requests=len(records),
        errors=sum(r.error is not None for r in records),
        prompt_tokens=float(np.mean([r.prompt_tokens for r in records if not r.error] or [0])),
        ttft_p50_s=_plain_median(records, "ttft_s"),
        e2e_p50_s=_plain_median(records, "e2e_s"),
    )


def _plain_median(records: Sequence[RequestRecord], metric: Metric) -> float | None:
    known = [math.inf if r.error else getattr(r, metric) for r in records]
    values = [value for value in known if value is not None]
    if len(values) < LEAST_FOR_MEDIAN:
        return None
    middle = float(np.median(values))
    return middle if math.isfinite(middle) else None


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers of natural length: their tokens, and how many the model ended itself (0 to 1)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    tokens: Estimate
    ended_share: float


def answers(records: Sequence[RequestRecord], *, seed: int = 0) -> Answers | None:
    """How long the answers of the requests that succeeded are; None where none did."""
    good = [r for r in counted(records) if r.error is None]
    if not good:
        return None
    blocks = blocks_of(good)
    tokens = np.array([sum(r.output_tokens for r in block) for block in blocks])
    counts = _draw(blocks, seed)
    resampled = (counts @ tokens) / (counts @ np.array([len(block) for block in blocks]))
    mean = float(tokens.sum() / len(good))
    return Answers(
        tokens=estimate(mean, resampled, len(blocks), _count(blocks)),
        ended_share=sum(r.finish == "stop" for r in good) / len(good),
    )


@dataclass(frozen=True, kw_only=True)
class Stalls:
    """Gaps of at least ``limit_s``: in how many requests, and the longest of all gaps (s)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    limit_s: float
    requests: int
    longest_s: float


def stalls(records: Sequence[RequestRecord]) -> Stalls | None:
    """Where answers stood still after they had begun; None where no answer has a gap."""
    longest = [max(gaps) for r in counted(records) if (gaps := _gaps(r))]
    if not longest:
        return None
    middle = float(np.median([gap for r in counted(records) for gap in _gaps(r)]))
    limit_s = max(STALL_S, STALL_TIMES * middle)
    return Stalls(
        limit_s=limit_s, requests=sum(it >= limit_s for it in longest), longest_s=max(longest)
    )


def output_throughput(records: Sequence[RequestRecord], *, seed: int = 0) -> Estimate:
    """Output tokens per second of the whole endpoint at this load point."""
    return _rate(records, _tokens, seed)


def request_rate(records: Sequence[RequestRecord], *, seed: int = 0) -> Estimate:
    """Successful requests per second at this load point."""
    return _rate(records, lambda record: float(record.error is None), seed)


def goodput(records: Sequence[RequestRecord], slo: Slo, *, seed: int = 0) -> Goodput:
    """Requests per second that meet every objective; errors count in the denominator.

    Intruders are none of those whom the objectives are for: only their time counts.
    """
    asked = [record for record in counted(records) if not record.intruder]
    return Goodput(
        per_s=_rate(records, lambda record: float(meets(record, slo)), seed),
        share=_share(asked, slo) if asked else Estimate(value=0.0),
    )


def _share(kept: Sequence[RequestRecord], slo: Slo) -> Estimate:
    """The share of requests that meet the objectives, and that of a batch succeed together."""
    blocks = blocks_of(kept)
    met = np.array([sum(meets(r, slo) for r in block) for block in blocks])
    return share_estimate(met, np.array([len(block) for block in blocks]), _rounds_of(blocks))


def meets(record: RequestRecord, slo: Slo) -> bool:
    """Whether a request succeeded within every objective that is asked for; no intruder does."""
    if record.error is not None or record.intruder:
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
    seconds = _seconds(records)
    return sum(worth(record) for record in records) / seconds if seconds > 0 else 0.0


def _seconds(records: Sequence[RequestRecord]) -> float:
    point = records[0].point
    return point.seconds_of([r.scheduled_s for r in records], [r.cycle_s for r in records])


def _tokens(record: RequestRecord) -> float:
    return float(record.output_tokens) if record.error is None else 0.0


def _rate(
    records: Sequence[RequestRecord], worth: Callable[[RequestRecord], float], seed: int
) -> Estimate:
    kept = counted(records)
    rng = np.random.default_rng(seed)
    blocks = blocks_of(kept)
    drawn = draw_rounds(_count(blocks), rng)
    value, resampled = _resampled_rate(kept, worth, drawn, rng)
    # A resample that stands for no time tells no rate.
    resampled = np.where(np.isfinite(resampled), resampled, np.nan)
    return estimate(value, resampled, len(blocks), _count(blocks))


def _resampled_rate(
    kept: Sequence[RequestRecord],
    worth: Callable[[RequestRecord], float],
    drawn: Counts,
    rng: np.random.Generator,
) -> tuple[float, Floats]:
    """Sum of ``worth`` / the wall time of the requests: measured, and in every resample."""
    blocks = blocks_of(kept)
    gained = np.array([sum(worth(r) for r in block) for block in blocks])
    seconds = np.array([_seconds(block) for block in blocks])
    counts = draw_blocks(_rounds_of(blocks), drawn, rng)
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled: Floats = (counts @ gained) / (counts @ seconds)
    return float(gained.sum() / seconds.sum()), resampled
