"""Result files of GuideLLM (``benchmarks.json``, report version 2 as of GuideLLM 0.8).

Its "inter token latency" is everybody's TPOT; its "time per output token" includes the first, so
that is left out. Single gaps between chunks it does not keep.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from loadtest.closed_loop import ClosedLoop
from loadtest.load_point import LoadPoint
from loadtest.open_loop import ConstantRate, PoissonRate
from loadtest.other_tools.foreign_run import SHARES, ForeignCell, ForeignRun, Latency

TOOL = "GuideLLM"
REMARKS = (
    "its TPOT is what it calls inter token latency; what it calls TPOT includes the first token",
    "its throughput is the mean over time of the tokens of successful requests",
)
_RATES: Mapping[str, type[LoadPoint]] = {"poisson": PoissonRate, "constant": ConstantRate}


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Distribution(_Part):
    mean: float = 0.0
    count: int = 0
    percentiles: dict[str, float] = {}


class _ByStatus(_Part):
    successful: _Distribution | None = None


class _Counts(_Part):
    successful: int = 0
    errored: int = 0
    incomplete: int = 0


class _Metrics(_Part):
    request_totals: _Counts
    requests_per_second: _ByStatus = _ByStatus()
    request_latency: _ByStatus = _ByStatus()
    time_to_first_token_ms: _ByStatus = _ByStatus()
    inter_token_latency_ms: _ByStatus = _ByStatus()
    output_tokens_per_second: _ByStatus = _ByStatus()


class _Strategy(_Part):
    type_: str = ""
    streams: int | None = None
    rate: float | None = None
    max_concurrency: int | None = None


class _Asked(_Part):
    strategy: _Strategy = _Strategy()


class _Benchmark(_Part):
    config: _Asked = _Asked()
    metrics: _Metrics


class _About(_Part):
    guidellm_version: str


class _File(_Part):
    metadata: _About
    config: dict[str, Any] = {}
    benchmarks: list[_Benchmark]


def is_guidellm(content: Mapping[str, Any]) -> bool:
    """Whether a file is one of these."""
    metadata = content.get("metadata")
    return isinstance(metadata, Mapping) and "guidellm_version" in metadata


def read_guidellm(content: Mapping[str, Any]) -> ForeignRun:
    """The run of a file.

    Raises:
        ValidationError: it has another shape.
    """
    told = _File.model_validate(content)
    spec = told.config.get("spec") or told.config
    backend = spec.get("backend") or {}
    return ForeignRun(
        tool=TOOL,
        version=told.metadata.guidellm_version,
        model=str(backend.get("model") or "") if isinstance(backend, Mapping) else "",
        cells=[_cell(benchmark) for benchmark in told.benchmarks],
        remarks=REMARKS,
    )


def _cell(benchmark: _Benchmark) -> ForeignCell:
    metrics, (point, load) = benchmark.metrics, _load(benchmark.config.strategy)
    counts = metrics.request_totals
    return ForeignCell(
        point=point,
        load=load,
        requests=counts.successful + counts.errored,
        errors=counts.errored,
        latencies={
            "ttft_s": _latency(metrics.time_to_first_token_ms, 1e-3),
            "tpot_s": _latency(metrics.inter_token_latency_ms, 1e-3),
            "e2e_s": _latency(metrics.request_latency, 1.0),
        },
        output_tok_per_s=_mean(metrics.output_tokens_per_second),
        request_per_s=_mean(metrics.requests_per_second),
    )


def _load(strategy: _Strategy) -> tuple[LoadPoint | None, str]:
    streams = 1 if strategy.type_ == "synchronous" else strategy.streams
    if streams:
        point: LoadPoint = ClosedLoop(streams)
    elif strategy.type_ in _RATES and strategy.rate:
        point = _RATES[strategy.type_](strategy.rate)
    else:
        return None, f"{strategy.type_} {strategy.rate or ''}".strip()
    return point, point.label


def _latency(found: _ByStatus, unit_s: float) -> Latency:
    told = found.successful
    if told is None or not told.count:
        return {}
    values = {"mean": told.mean, **{key: told.percentiles.get(key) for key in SHARES}}
    return {key: it * unit_s for key, it in values.items() if it is not None}


def _mean(found: _ByStatus) -> float | None:
    return found.successful.mean if found.successful and found.successful.count else None
