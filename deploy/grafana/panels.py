"""What a dashboard is made of: rows of panels, each a title, a unit and its queries.

Series are those of the SERIES table (``services/metrics/series.py``). ``$variant`` is the
dashboard's variable and ``$__rate_interval`` Grafana's own; both are replaced before Prometheus is
asked.
"""

from dataclasses import dataclass
from typing import Literal

# Grafana's names of units.
Unit = Literal["short", "s", "reqps", "percentunit", "bytes", "watt", "cps", "joule", "hertz"]
Kind = Literal["timeseries", "stat", "state-timeline", "heatmap"]
OF_VARIANT = 'variant=~"$variant"'
RANGE = "[$__rate_interval]"


@dataclass(frozen=True, kw_only=True)
class Query:
    """One PromQL expression; ``legend`` is Grafana's template of a line's name."""

    expr: str
    legend: str = "{{variant}}"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture. ``width`` is of 24 columns; ``most`` the top of the scale where it has one.

    ``needs_gpu`` panels are empty on a machine without a GPU.
    """

    title: str
    text: str
    queries: tuple[Query, ...]
    unit: Unit = "short"
    kind: Kind = "timeseries"
    width: int = 8
    most: float | None = None
    needs_gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


def per_second(name: str, more: str = "") -> str:
    """How fast a counter grows, for each variant; ``more`` are label matchers."""
    return f"sum by (variant) (rate({name}{{{OF_VARIANT}{more}}}{RANGE}))"


def quantile_of(name: str, quantile: float) -> str:
    """A quantile of a histogram, for each variant."""
    buckets = f"sum by (variant, le) (rate({name}_bucket{{{OF_VARIANT}}}{RANGE}))"
    return f"histogram_quantile({quantile}, {buckets})"


def now(name: str) -> str:
    """A series as it is."""
    return f"{name}{{{OF_VARIANT}}}"


def share(status: str) -> str:
    """Of the requests that did not end because their client left."""
    some = per_second("assay_requests_total", f', status=~"{status}"')
    counted = per_second("assay_requests_total", ', status!="499"')
    return f"{some} / {counted}"


TTFT = "From a streamed request's arrival at the relay to the first text of its answer."
TPOT = "Mean time per output token after the first, one value per streamed request."
E2E = "From a request's arrival at the relay to the end of its answer, streamed or not."
