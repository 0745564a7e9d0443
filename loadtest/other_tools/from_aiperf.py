"""Result files of NVIDIA AIPerf: ``profile_export_aiperf.json``, and ``profile_export.jsonl``.

Its definitions are ours: its ``inter_token_latency`` is our TPOT, its ``inter_chunk_latency`` the
gaps. The lines of the second file are single requests; their load stands in the first alone, which
usually lies beside it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from loadtest.closed_loop import ClosedLoop
from loadtest.load_point import LoadPoint
from loadtest.open_loop import ConstantRate, PoissonRate
from loadtest.other_tools.foreign_run import SHARES, ForeignCell, ForeignRun, Latency, latency_of

TOOL = "AIPerf"
REMARKS = (
    "its percentiles lie between two requests, ours are those of one",
    "its throughput is tokens / (last response - first send), warm-up apart and tail among them",
)
_NAMES = {
    "ttft_s": "time_to_first_token",
    "tpot_s": "inter_token_latency",
    "gap_s": "inter_chunk_latency",
    "e2e_s": "request_latency",
}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0}
_RATES: Mapping[str, type[LoadPoint]] = {"poisson": PoissonRate, "constant": ConstantRate}
_PROFILING = "profiling"


class _Metric(BaseModel):
    model_config = ConfigDict(extra="ignore")

    unit: str = ""
    avg: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None


class _Phase(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = ""
    type: str = ""
    concurrency: int | None = None
    rate: float | None = None


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = ""


class _Models(BaseModel):
    model_config = ConfigDict(extra="ignore")

    items: list[_Model] = []


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore")

    models: _Models = _Models()
    phases: list[_Phase] = []


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    aiperf_version: str
    input_config: _Asked = _Asked()
    request_count: _Metric = _Metric()
    error_request_count: _Metric | None = None
    time_to_first_token: _Metric | None = None
    inter_token_latency: _Metric | None = None
    inter_chunk_latency: _Metric | None = None
    request_latency: _Metric | None = None
    output_token_throughput: _Metric = _Metric()
    request_throughput: _Metric = _Metric()
    is_complete: bool | None = None
    incomplete_reason: str | None = None


class _Value(BaseModel):
    model_config = ConfigDict(extra="ignore")

    value: float | int | list[float] | None = None
    unit: str = ""


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="ignore")

    request_start_ns: int
    request_end_ns: int
    benchmark_phase: str = _PROFILING


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    metadata: _Metadata
    metrics: dict[str, _Value] = {}
    error: Any = None


def is_aiperf(content: Mapping[str, Any]) -> bool:
    """Whether a file is one of the first kind."""
    return "aiperf_version" in content


def read_aiperf(content: Mapping[str, Any]) -> ForeignRun:
    """The run of a file of the first kind.

    Raises:
        ValidationError: it has another shape.
    """
    told = _File.model_validate(content)
    errors = int((told.error_request_count and told.error_request_count.avg) or 0)
    point, load = _load(told.input_config)
    cell = ForeignCell(
        point=point,
        load=load,
        requests=int(told.request_count.avg or 0) + errors,
        errors=errors,
        latencies={name: _latency(getattr(told, theirs)) for name, theirs in _NAMES.items()},
        output_tok_per_s=told.output_token_throughput.avg,
        request_per_s=told.request_throughput.avg,
    )
    cut = [] if told.is_complete is not False else [f"it was cut short: {told.incomplete_reason}"]
    names = [item.name for item in told.input_config.models.items]
    return ForeignRun(
        tool=TOOL,
        version=told.aiperf_version,
        model=", ".join(names),
        cells=[cell],
        remarks=[*REMARKS, *cut],
    )


def is_aiperf_line(content: Mapping[str, Any]) -> bool:
    """Whether a line is one of the second kind."""
    return {"metadata", "metrics"} <= content.keys()


def read_aiperf_lines(
    lines: Iterable[Mapping[str, Any]], summary: Mapping[str, Any] | None
) -> ForeignRun:
    """The run of a file of the second kind; ``summary`` is the file of the first, if it is there.

    Raises:
        ValidationError: one of them has another shape.
    """
    told = [_Line.model_validate(line) for line in lines]
    kept = [line for line in told if line.metadata.benchmark_phase == _PROFILING]
    good = [line for line in kept if not line.error]
    whole = read_aiperf(summary) if summary else None
    begin = min((line.metadata.request_start_ns for line in kept), default=0)
    seconds = max((line.metadata.request_end_ns for line in kept), default=0) - begin
    tokens = sum(_number(line, "output_sequence_length") or 0 for line in good)
    cell = ForeignCell(
        point=whole.cells[0].point if whole else None,
        load=whole.cells[0].load if whole else "not told",
        requests=len(kept),
        errors=len(kept) - len(good),
        latencies={
            name: latency_of(second for line in good for second in _seconds(line, theirs))
            for name, theirs in _NAMES.items()
        },
        output_tok_per_s=tokens / seconds * 1e9 if seconds else None,
        request_per_s=len(good) / seconds * 1e9 if seconds else None,
    )
    return ForeignRun(
        tool=TOOL,
        version=whole.version if whole else "",
        model=whole.model if whole else "",
        cells=[cell],
        remarks=REMARKS[1:],
    )


def _load(asked: _Asked) -> tuple[LoadPoint | None, str]:
    phases = [it for it in asked.phases if it.name == _PROFILING] or asked.phases[-1:]
    if not phases:
        return None, "not told"
    phase = phases[0]
    if phase.type == "concurrency" and phase.concurrency:
        point: LoadPoint = ClosedLoop(phase.concurrency)
    elif phase.type in _RATES and phase.rate and not phase.concurrency:
        point = _RATES[phase.type](phase.rate)
    else:
        most = f", at most {phase.concurrency} at once" if phase.concurrency else ""
        return None, f"{phase.type} {phase.rate or ''}".strip() + most
    return point, point.label


def _latency(metric: _Metric | None) -> Latency:
    if metric is None:
        return {}
    values = {"mean": metric.avg, **{key: getattr(metric, key) for key in SHARES}}
    return {key: it * _SECONDS[metric.unit] for key, it in values.items() if it is not None}


def _number(line: _Line, name: str) -> float | None:
    found = line.metrics.get(name)
    return float(found.value) if found and isinstance(found.value, int | float) else None


def _seconds(line: _Line, name: str) -> list[float]:
    """A metric's value, or its values, in seconds."""
    found = line.metrics.get(name)
    if found is None or found.value is None:
        return []
    values = found.value if isinstance(found.value, list) else [found.value]
    return [value * _SECONDS[found.unit] for value in values]
