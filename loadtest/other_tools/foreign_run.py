"""What another tool measured, in the words of ours: cells of load with latencies in seconds.

Tools disagree about what the words mean; a reader puts every figure where its meaning belongs
(``loadtest/summary.py`` has ours), and says in ``remarks`` where a meaning is a little different.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from loadtest.load_point import LoadPoint

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
Latency = Mapping[str, float]


class ForeignFileError(ValueError):
    """A file that is no result of a tool that is known here; the message names it and them."""


@dataclass(frozen=True, kw_only=True)
class ForeignCell:
    """A load of a run; ``point`` is None where ours has no such kind, ``load`` says it in words.

    ``latencies`` are by name (``ttft_s``, ``tpot_s``, ``gap_s``, ``e2e_s``), each with its mean and
    percentiles as far as they are told; rates are per second.
    """

    point: LoadPoint | None
    load: str
    requests: int
    errors: int
    latencies: Mapping[str, Latency]
    output_tok_per_s: float | None
    request_per_s: float | None


@dataclass(frozen=True, kw_only=True)
class ForeignRun:
    """The result file of another tool."""

    tool: str
    version: str
    model: str
    cells: Sequence[ForeignCell]
    remarks: Sequence[str] = field(default=())


def latency_of(seconds: Iterable[float | None]) -> Latency:
    """Mean and percentiles of single values, by the nearest rank as ours; empty of none."""
    values = np.array([it for it in seconds if it is not None])
    if not len(values):
        return {}
    found = np.quantile(values, list(SHARES.values()), method="inverted_cdf")
    return {"mean": float(values.mean()), **dict(zip(SHARES, map(float, found), strict=True))}
