"""The SERIES table: all that ``/metrics`` tells under Assay's own names, whatever the engine.

Every sample also carries the label ``variant``. Dashboards, alert rules and the engines' mappings
(``EngineSpec.series``) are held against this table. The engines' own series stand beside it under
their own names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Series:
    """One metric family. ``name`` is the one on the wire; a unit stands in it, and is SI.

    ``labels`` are those beside ``variant``; ``buckets`` are a histogram's upper bounds. An
    engine's several samples (one per data-parallel rank) become one by ``joined``.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    joined: Literal["sum", "max"] = "sum"


def _table(*rows: Series) -> Mapping[str, Series]:
    return MappingProxyType({row.name: row for row in rows})


# What the relay sees of every request for a completion, and so alike for all engines.
TRAFFIC = _table(
    Series(
        name="assay_requests_total",
        kind="counter",
        text="Requests answered, by HTTP status; 499: the client left, 502: the engine broke off",
        labels=("status",),
    ),
    Series(
        name="assay_requests_in_flight",
        kind="gauge",
        text="Requests that the relay holds open",
    ),
    Series(
        name="assay_ttft_seconds",
        kind="histogram",
        text="Time from a streamed request's arrival to the first text of its answer",
        buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60),
    ),
    Series(
        name="assay_tpot_seconds",
        kind="histogram",
        text="Mean time per output token after the first text, one value per streamed request",
        buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2),
    ),
    Series(
        name="assay_e2e_seconds",
        kind="histogram",
        text="Time from a request's arrival to the end of its complete answer of status 200",
        buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300),
    ),
)

# What the replica knows of the variant it keeps alive.
LIFE = _table(
    Series(name="assay_variant_up", kind="gauge", text="Whether the variant takes requests"),
    Series(
        name="assay_variant_state",
        kind="gauge",
        text="1 for the state the variant is in, 0 for the others",
        labels=("state",),
    ),
    Series(
        name="assay_variant_info",
        kind="gauge",
        text="Always 1; what the variant is",
        labels=("recipe", "engine", "engine_version", "emulated"),
    ),
    Series(
        name="assay_engine_restarts_total",
        kind="counter",
        text="Times that the engine was started again after it had ended",
    ),
    Series(
        name="assay_engine_start_seconds", kind="gauge", text="Time that the engine's start took"
    ),
    Series(
        name="assay_wakes_total",
        kind="counter",
        text="Times that the variant was woken; always 0 where it is always awake",
    ),
    Series(
        name="assay_requests_waiting_for_wake",
        kind="gauge",
        text="Requests that wait for the variant to be awake",
    ),
    Series(
        name="assay_memory_bytes",
        kind="gauge",
        text="Main memory in use by the engine and what it started (proportional set size)",
    ),
    Series(name="assay_weight_bytes", kind="gauge", text="Weights that the engine says it holds"),
    Series(
        name="assay_sequences_limit", kind="gauge", text="Sequences that the engine decodes at once"
    ),
    Series(
        name="assay_requests_limit",
        kind="gauge",
        text="Requests in flight above which the relay answers 429",
    ),
)

# What only the engine knows; each engine's spec says under which name it tells it.
ENGINE = _table(
    Series(name="assay_requests_running", kind="gauge", text="Requests that the engine works on"),
    Series(
        name="assay_requests_waiting", kind="gauge", text="Requests that wait inside the engine"
    ),
    Series(
        name="assay_kv_cache_used_ratio",
        kind="gauge",
        text="Part of the key-value cache that running requests hold, 0 to 1",
        joined="max",
    ),
    Series(
        name="assay_prompt_tokens_total",
        kind="counter",
        text="Prompt tokens of all requests, those found in the cache among them",
    ),
    Series(
        name="assay_reused_prompt_tokens_total",
        kind="counter",
        text="Prompt tokens found in the key-value cache",
    ),
    Series(name="assay_generation_tokens_total", kind="counter", text="Tokens generated"),
)

_OF_GPU = ("gpu", "uuid")
# Only where there is a GPU that the engine may use; a GPU that is shared is told by each.
GPU = _table(
    Series(
        name="assay_gpu_used_ratio",
        kind="gauge",
        text="Part of the time in which the GPU ran a kernel, 0 to 1",
        labels=_OF_GPU,
    ),
    Series(
        name="assay_gpu_memory_used_bytes",
        kind="gauge",
        text="Memory of the GPU in use, by whomever",
        labels=_OF_GPU,
    ),
    Series(
        name="assay_gpu_memory_bytes",
        kind="gauge",
        text="Memory of the GPU; the machine's own where they share one",
        labels=_OF_GPU,
    ),
    Series(
        name="assay_gpu_engine_memory_bytes",
        kind="gauge",
        text="Memory of the GPU that the engine's processes hold",
        labels=_OF_GPU,
    ),
    Series(
        name="assay_gpu_power_watts",
        kind="gauge",
        text="Power that the GPU draws",
        labels=_OF_GPU,
    ),
    Series(
        name="assay_gpu_energy_joules_total",
        kind="counter",
        text="Energy that the GPU has used since its driver was loaded",
        labels=_OF_GPU,
    ),
    Series(
        name="assay_gpu_sm_clock_hertz",
        kind="gauge",
        text="Clock of the GPU's multiprocessors",
        labels=_OF_GPU,
    ),
    Series(
        name="assay_gpu_throttled",
        kind="gauge",
        text="1 while power or temperature holds the GPU's clocks down",
        labels=_OF_GPU,
    ),
)

SERIES: Mapping[str, Series] = MappingProxyType({**TRAFFIC, **LIFE, **ENGINE, **GPU})
