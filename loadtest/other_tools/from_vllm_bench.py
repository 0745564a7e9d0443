"""Result files of ``vllm bench serve`` (``--save-result``, with or without ``--save-detailed``)."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from loadtest.closed_loop import ClosedLoop
from loadtest.load_point import LoadPoint
from loadtest.open_loop import ConstantRate, PoissonRate
from loadtest.other_tools.foreign_run import SHARES, ForeignCell, ForeignRun, Latency, latency_of

TOOL = "vllm bench serve"
REMARKS = (
    "its TTFT ends at the first chunk, one without text too",
    "its end-to-end latency ends with the stream",
    "its throughput is tokens / (last end - first send), warm-up and tail among them",
)
# What its words are in ours.
_NAMES = {"ttft_s": "ttft", "tpot_s": "tpot", "gap_s": "itl", "e2e_s": "e2el"}


class _File(BaseModel):
    model_config = ConfigDict(extra="allow")

    model_id: str
    completed: int
    failed: int = 0
    duration: float
    output_throughput: float
    request_throughput: float
    request_rate: float | str | None = None
    burstiness: float = 1.0
    max_concurrency: int | None = None
    ttfts: list[float] | None = None
    itls: list[list[float]] | None = None
    latencies: list[float] | None = None
    output_lens: list[int] | None = None
    errors: list[str] | None = None


def is_vllm_bench(content: Mapping[str, Any]) -> bool:
    """Whether a file is one of these."""
    return {"completed", "output_throughput", "request_throughput", "model_id"} <= content.keys()


def read_vllm_bench(content: Mapping[str, Any]) -> ForeignRun:
    """The run of a file.

    Raises:
        ValidationError: it has another shape.
    """
    told = _File.model_validate(content)
    point, load = _load(told)
    cell = ForeignCell(
        point=point,
        load=load,
        requests=told.completed + told.failed,
        errors=told.failed,
        latencies=_from_requests(told) or _from_summary(told.model_extra or {}),
        output_tok_per_s=told.output_throughput,
        request_per_s=told.request_throughput,
    )
    return ForeignRun(tool=TOOL, version="", model=told.model_id, cells=[cell], remarks=REMARKS)


def _load(told: _File) -> tuple[LoadPoint | None, str]:
    rate = None if told.request_rate in (None, "inf") else float(told.request_rate or 0)
    if rate is None and told.max_concurrency:
        point: LoadPoint = ClosedLoop(told.max_concurrency)
    elif rate and told.burstiness == 1 and told.max_concurrency is None:
        point = PoissonRate(rate)
    elif rate and told.burstiness == float("inf") and told.max_concurrency is None:
        point = ConstantRate(rate)
    else:
        most = f", at most {told.max_concurrency} at once" if told.max_concurrency else ""
        return None, f"{rate or 'all'} a second, burstiness {told.burstiness:g}{most}"
    return point, point.label


def _from_requests(told: _File) -> dict[str, Latency]:
    """From the single requests, where the file has them."""
    if not (told.ttfts and told.latencies and told.output_lens):
        return {}
    errors = told.errors or [""] * len(told.ttfts)
    good = [place for place, error in enumerate(errors) if not error]
    gaps = told.itls or []
    return {
        "ttft_s": latency_of(told.ttfts[place] for place in good),
        "tpot_s": latency_of(
            (told.latencies[place] - told.ttfts[place]) / (told.output_lens[place] - 1)
            for place in good
            if told.output_lens[place] > 1
        ),
        "gap_s": latency_of(gap for place in good if place < len(gaps) for gap in gaps[place]),
        "e2e_s": latency_of(told.latencies[place] for place in good),
    }


def _from_summary(more: Mapping[str, Any]) -> dict[str, Latency]:
    found: dict[str, Latency] = {}
    for name, theirs in _NAMES.items():
        keys = {"mean": f"mean_{theirs}_ms", "p50": f"median_{theirs}_ms"}
        keys |= {key: f"{key}_{theirs}_ms" for key in SHARES if key != "p50"}
        found[name] = {key: more[it] / 1000 for key, it in keys.items() if it in more}
    return {name: latency for name, latency in found.items() if latency}
