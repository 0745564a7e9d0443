"""The dashboard that compares variants: one line each in every panel."""

from deploy.grafana.panels import (
    E2E,
    TPOT,
    TTFT,
    Panel,
    Query,
    Row,
    Unit,
    now,
    per_second,
    quantile_of,
    share,
)


def _latency(name: str, short: str, text: str, quantile: float) -> Panel:
    title = f"{short} p{quantile * 100:.0f}"
    return Panel(
        title=title, text=text, unit="s", queries=(Query(expr=quantile_of(name, quantile)),)
    )


STATE = Panel(
    title="Ready",
    text="1 while the variant answers requests.",
    kind="state-timeline",
    width=24,
    queries=(Query(expr=now("assay_variant_up")),),
)
LATENCY = Row(
    title="Latency, measured by the relay and so alike for every engine",
    panels=(
        _latency("assay_ttft_seconds", "TTFT", TTFT, 0.5),
        _latency("assay_tpot_seconds", "TPOT", TPOT, 0.5),
        _latency("assay_e2e_seconds", "Whole request", E2E, 0.5),
        _latency("assay_ttft_seconds", "TTFT", TTFT, 0.95),
        _latency("assay_tpot_seconds", "TPOT", TPOT, 0.95),
        _latency("assay_e2e_seconds", "Whole request", E2E, 0.95),
    ),
)
THROUGHPUT = Row(
    title="Throughput",
    panels=(
        Panel(
            title="Generated tokens per second",
            text="Told by the engine.",
            unit="cps",
            queries=(Query(expr=per_second("assay_generation_tokens_total")),),
        ),
        Panel(
            title="Prompt tokens per second",
            text="Told by the engine; those found in its cache among them.",
            unit="cps",
            queries=(Query(expr=per_second("assay_prompt_tokens_total")),),
        ),
        Panel(
            title="Requests per second",
            text="Requests that ended, whichever way.",
            unit="reqps",
            queries=(Query(expr=per_second("assay_requests_total")),),
        ),
    ),
)
PRESSURE = Row(
    title="Errors and queue",
    panels=(
        Panel(
            title="Errors",
            text="Share of requests answered with a 5xx, or broken off.",
            unit="percentunit",
            width=6,
            queries=(Query(expr=share("5..")),),
        ),
        Panel(
            title="Refused",
            text="Share of requests answered with 429, the queue being full.",
            unit="percentunit",
            width=6,
            queries=(Query(expr=share("429")),),
        ),
        Panel(
            title="Running",
            text="Requests that the engine works on.",
            width=6,
            queries=(Query(expr=now("assay_requests_running")),),
        ),
        Panel(
            title="Waiting",
            text="Requests that wait inside the engine.",
            width=6,
            queries=(Query(expr=now("assay_requests_waiting")),),
        ),
    ),
)
MEMORY = Row(
    title="Memory",
    panels=(
        Panel(
            title="Key-value cache in use",
            text="Part of the cache that running requests hold.",
            unit="percentunit",
            most=1,
            queries=(Query(expr=now("assay_kv_cache_used_ratio")),),
        ),
        Panel(
            title="Main memory",
            text="Proportional set size of the engine and all that it started.",
            unit="bytes",
            queries=(Query(expr=now("assay_memory_bytes")),),
        ),
        Panel(
            title="Weights",
            text="What the engine says that it holds.",
            unit="bytes",
            queries=(Query(expr=now("assay_weight_bytes")),),
        ),
    ),
)


_SHARED = "A GPU that several variants share is shown for each of them."
_LEGEND = "{{variant}} GPU {{gpu}}"


def _gpu(
    title: str, text: str, unit: Unit, expr: str, most: float | None = None, legend: str = _LEGEND
) -> Panel:
    return Panel(
        title=title,
        text=f"{text} {_SHARED}",
        unit=unit,
        most=most,
        needs_gpu=True,
        queries=(Query(expr=expr, legend=legend),),
    )


def _per_token() -> str:
    """Joules per generated token: what a variant's GPUs use, over what its engine generates."""
    energy = per_second("assay_gpu_energy_joules_total")
    return f"{energy} / {per_second('assay_generation_tokens_total')}"


GPU = Row(
    title="GPU (empty where there is none)",
    panels=(
        _gpu(
            "GPU use",
            "Time in which it ran a kernel.",
            "percentunit",
            now("assay_gpu_used_ratio"),
            most=1,
        ),
        _gpu("GPU memory", "In use, by whomever.", "bytes", now("assay_gpu_memory_used_bytes")),
        _gpu(
            "GPU memory of the engine",
            "Held by its own processes.",
            "bytes",
            now("assay_gpu_engine_memory_bytes"),
        ),
        _gpu("GPU power", "Power drawn.", "watt", now("assay_gpu_power_watts")),
        _gpu(
            "Energy per generated token",
            "All that the GPUs use, idle power among it, by their own counter.",
            "joule",
            _per_token(),
            legend="{{variant}}",
        ),
        _gpu(
            "GPU clock",
            "Of its multiprocessors; it falls where power or temperature is at its limit.",
            "hertz",
            now("assay_gpu_sm_clock_hertz"),
        ),
        _gpu(
            "GPU throttled",
            "1 while power or temperature holds its clocks down.",
            "short",
            now("assay_gpu_throttled"),
            most=1,
        ),
    ),
)
COMPARE = (Row(title="State", panels=(STATE,)), LATENCY, THROUGHPUT, PRESSURE, MEMORY, GPU)
