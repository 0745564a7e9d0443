"""The dashboard of one variant alone: what the comparison has no room for."""

from dataclasses import replace

from deploy.grafana.compare import GPU, MEMORY
from deploy.grafana.panels import (
    E2E,
    RANGE,
    TPOT,
    TTFT,
    Panel,
    Query,
    Row,
    now,
    per_second,
    quantile_of,
)


def _spread(name: str, title: str, text: str) -> Panel:
    queries = tuple(
        Query(expr=quantile_of(name, quantile), legend=f"p{quantile * 100:.0f}")
        for quantile in (0.5, 0.9, 0.99)
    )
    return Panel(title=title, text=text, unit="s", queries=queries)


ONE_STATE = Row(
    title="State",
    panels=(
        Panel(
            title="State",
            text="The state that the variant is in.",
            kind="state-timeline",
            width=16,
            queries=(Query(expr=now("assay_variant_state") + " == 1", legend="{{state}}"),),
        ),
        Panel(
            title="Engine",
            text="Recipe, engine and its version.",
            kind="stat",
            width=4,
            queries=(
                Query(
                    expr=now("assay_variant_info"),
                    legend="{{recipe}} on {{engine}}: {{engine_version}}",
                ),
            ),
        ),
        Panel(
            title="Restarts",
            text="Times that the engine was started again since its replica began.",
            kind="stat",
            width=4,
            queries=(Query(expr=now("assay_engine_restarts_total")),),
        ),
    ),
)
ONE_LATENCY = Row(
    title="Latency",
    panels=(
        _spread("assay_ttft_seconds", "TTFT", TTFT),
        _spread("assay_tpot_seconds", "TPOT", TPOT),
        _spread("assay_e2e_seconds", "Whole request", E2E),
        Panel(
            title="TTFT, all requests",
            text=TTFT,
            unit="s",
            kind="heatmap",
            width=24,
            queries=(
                Query(
                    expr=f"sum by (le) (increase({now('assay_ttft_seconds_bucket')}{RANGE}))",
                    legend="{{le}}",
                ),
            ),
        ),
    ),
)
ONE_TRAFFIC = Row(
    title="Traffic",
    panels=(
        Panel(
            title="Requests by status",
            text="499: the client left; 502: the engine broke off.",
            unit="reqps",
            queries=(
                Query(
                    expr=f"sum by (status) (rate({now('assay_requests_total')}{RANGE}))",
                    legend="{{status}}",
                ),
            ),
        ),
        Panel(
            title="Requests held",
            text="In flight at the relay, and in the engine; above the limit follows 429.",
            queries=tuple(
                Query(expr=now(f"assay_requests_{what}"), legend=what.replace("_", " "))
                for what in ("in_flight", "running", "waiting", "limit")
            ),
        ),
        Panel(
            title="Tokens per second",
            text="Told by the engine.",
            unit="cps",
            queries=tuple(
                Query(expr=per_second(f"assay_{what}_tokens_total"), legend=what.replace("_", " "))
                for what in ("generation", "prompt", "reused_prompt")
            ),
        ),
    ),
)
ONE_MEMORY = Row(
    title="Memory",
    panels=(
        MEMORY.panels[0],
        Panel(
            title="Main memory and weights",
            text="Proportional set size of the engine, and what it says that its weights take.",
            unit="bytes",
            width=16,
            queries=(
                replace(MEMORY.panels[1].queries[0], legend="engine"),
                replace(MEMORY.panels[2].queries[0], legend="weights"),
            ),
        ),
    ),
)
ONE_VARIANT = (ONE_STATE, ONE_LATENCY, ONE_TRAFFIC, ONE_MEMORY, GPU)
