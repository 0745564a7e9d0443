"""What the clients saw: errors, throughput from first to last quarter, latencies. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from quantize.jobs.whole_file import writing
from tests.benches.harness.bench_figures import Figure
from tests.benches.harness.bench_table import columns
from tests.benches.soak.answers import Outcome
from tests.benches.soak.assessment import WARM_UP_SHARE

# The mix is random, so two quarters of an hour differ by a few percent by themselves.
LEAST_THROUGHPUT_RATIO = 0.9
PERCENTILES = (50, 95, 99)


def error_figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    """How many requests ended in each way; none may be unexplained."""
    counts = Counter(outcome.judgement for outcome in outcomes)
    informal = [
        Figure(name=f"requests {judgement}", value=counts[judgement], unit="count")
        for judgement in ("answered", "refused", "left")
    ]
    unexplained = counts["unexplained"]
    last = Figure(
        name="requests unexplained",
        value=unexplained,
        unit="count",
        against=len(outcomes),
        ratio=unexplained / len(outcomes) if outcomes else None,
        limit=0,
        met=unexplained == 0 and counts["answered"] > 0,
    )
    return [*informal, last]


def state_figures(variants: Sequence[str], states: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    """What every variant says of itself once the load has gone; -1 where it says nothing."""
    found = [
        (f"{name}, {key} at the end", float(states.get(name, {}).get(key, -1)))
        for name in variants
        for key in ("in_flight", "restarts")
    ]
    return [
        Figure(name=name, value=value, unit="count", limit=0, met=value == 0)
        for name, value in found
    ]


def throughput_figure(outcomes: Sequence[Outcome], length_s: float) -> Figure:
    """Output tokens a second of answered requests, last quarter after the warm-up against first."""
    begin = WARM_UP_SHARE * length_s
    quarter_s = (length_s - begin) / 4

    def rate(start_s: float) -> float:
        inside = [o for o in outcomes if start_s <= o.end_s < start_s + quarter_s]
        return sum(o.output_tokens for o in inside) / quarter_s

    first, last = rate(begin), rate(length_s - quarter_s)
    ratio = last / first if first else 0.0
    return Figure(
        name="throughput, last quarter against first (limit: their ratio)",
        value=last,
        unit="tok/s",
        against=first,
        ratio=ratio,
        limit=LEAST_THROUGHPUT_RATIO,
        met=ratio >= LEAST_THROUGHPUT_RATIO,
    )


def latencies(outcomes: Sequence[Outcome], length_s: float) -> dict[str, list[float]]:
    """Milliseconds by name, of answered requests sent after the warm-up."""
    kept = [
        o for o in outcomes if o.judgement == "answered" and o.sent_s >= WARM_UP_SHARE * length_s
    ]
    found: dict[str, list[float]] = {}
    for variant in sorted({o.variant for o in kept}):
        mine = [o for o in kept if o.variant == variant]
        streams = [o for o in mine if o.kind.endswith("stream") and o.first_s is not None]
        found[f"{variant}, TTFT"] = [1e3 * ((o.first_s or 0) - o.sent_s) for o in streams]
        found[f"{variant}, end to end"] = [1e3 * (o.end_s - o.sent_s) for o in mine]
    return found


def latency_figures(found: Mapping[str, Sequence[float]]) -> list[Figure]:
    """Percentiles of the latencies; reported, not bounded."""
    return [
        Figure(name=f"{name} p{p}", value=float(np.percentile(values, p)), unit="ms")
        for name, values in found.items()
        if len(values)
        for p in PERCENTILES
    ]


def latency_table(found: Mapping[str, Sequence[float]]) -> str:
    """One line per variant and latency."""
    return columns(
        ("latency, ms", "count", *(f"p{p}" for p in PERCENTILES)),
        [
            (name, str(len(values)), *(f"{np.percentile(values, p):,.1f}" for p in PERCENTILES))
            for name, values in found.items()
            if len(values)
        ],
    )


def kinds_table(outcomes: Sequence[Outcome]) -> str:
    """How many of each kind of request ended in which way and status."""
    counts = Counter((o.kind, o.judgement, o.status) for o in outcomes)
    rows = [
        (kind, judgement, str(status or "–"), f"{count:,}")
        for (kind, judgement, status), count in sorted(counts.items())
    ]
    return columns(("request", "ended", "status", "count"), rows)


_SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("kind", pa.string()),
        ("variant", pa.string()),
        ("path", pa.string()),
        ("judgement", pa.string()),
        ("sent_s", pa.float64()),
        ("first_s", pa.float64()),
        ("end_s", pa.float64()),
        ("status", pa.int64()),
        ("output_tokens", pa.int64()),
        ("detail", pa.string()),
    ]
)


def write_outcomes(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write one row per request to a parquet file, whole or not at all."""
    rows = [asdict(outcome) for outcome in outcomes]
    with writing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), temporary)
