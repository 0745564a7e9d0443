"""Calibration of the load generator: what it adds to the latencies that it reports, what it costs.

The real Locust process loads a null server, which answers on an exact schedule from a process of
its own. Whatever is measured beyond the schedule was added by the client, the loopback and the
null server together, so the figures are upper bounds of the client's own share.
"""

from collections.abc import Iterable, Sequence

from loadtest.certificate import Added, Certified, certified, meet
from loadtest.client_cost import LONG, PACE, PROMPT_TOKENS, Cost, climb, measure_cost
from loadtest.closed_loop import ClosedLoop
from loadtest.null_server import Pace
from loadtest.prompts import plain_prompts
from tests.benches.harness.bench_figures import Figure, at_least, at_most
from tests.benches.harness.bench_run import BenchRun

# Streams of 50 tokens a second.
CONCURRENCIES = (1, 4, 16, 128)
# What vLLM sends of a small model on an H100: 10,000 events a second.
H100 = Pace(ttft_s=0.05, gap_s=1 / 160)
H100_CONCURRENCY = 64
SEVERAL = 2
MEDIAN_LIMIT_MS, TAIL_LIMIT_MS = 1.0, 5.0
# What MLPerf's endpoints client is told to take for a whole request.
MLPERF_REQUEST_US = 47.0
DURATION_S = 3.0


def calibrate(run: BenchRun) -> None:
    """Load the null server at every concurrency and compare with its schedule; about 2 min."""
    for concurrency in CONCURRENCIES:
        with run.cell(f"c={concurrency}"):
            run.figures += figures_of(_measure(concurrency))
    with run.cell(f"c={CONCURRENCIES[-1]} by {SEVERAL} processes"):
        run.figures += figures_of(_measure(CONCURRENCIES[-1], processes=SEVERAL), "_by_two")
    for processes, name in ((1, "_h100"), (SEVERAL, "_h100_by_two")):
        with run.cell(f"as an H100 sends, by {processes}"):
            found = _measure(H100_CONCURRENCY, H100, processes)
            run.figures += figures_of(found, name)
    with run.cell("cost"):
        run.figures += cost_figures(measure_cost(plain_prompts()))
    with run.cell("where it saturates"):
        run.figures += saturation_figures(told(run, climb(plain_prompts())))


def figures_of(found: Certified, kind: str = "") -> list[Figure]:
    """What was added at one concurrency, to the first token, per gap at worst, and to the last."""
    count = found.point.number + kind
    parts: tuple[tuple[str, Added, bool], ...] = (
        ("ttft", found.ttft, True),
        ("worst_gap", found.worst_gap, True),
        ("end", found.end, False),
    )
    figures = []
    for name, added, bounded in parts:
        for key, value_s, limit_ms in (
            ("p50", added.p50_s, MEDIAN_LIMIT_MS),
            ("p99", added.p99_s, TAIL_LIMIT_MS),
        ):
            # Of a request's worst gap only the tail says what a gap may be late by.
            limit = limit_ms if bounded and (name, key) != ("worst_gap", "p50") else None
            figures.append(at_most(f"{name}_added_{key}_c{count}", 1000 * value_s, "ms", limit))
    figures.append(at_most(f"cpu_share_c{count}", found.cpu_share, "of a core", None))
    return figures


def cost_figures(cost: Cost) -> list[Figure]:
    """What a request and an event cost of one core."""
    return [
        at_most("request_cost", cost.per_request_us, "us", None, MLPERF_REQUEST_US),
        at_most("event_cost", cost.per_event_us, "us", None),
    ]


def told(run: BenchRun, steps: Iterable[Certified]) -> list[Certified]:
    """The steps of a climb, each said as its certificate says it."""
    found = []
    for step in steps:
        found.append(step)
        run.say(step.words + (f"; VOID: {step.why_void}" if step.why_void else ""))
    return found


def saturation_figures(steps: Sequence[Certified]) -> list[Figure]:
    """The most streams that were borne, and the fewest of which the certificate says: too many."""
    borne = max((int(it.point.amount) for it in steps if not it.why_void), default=0)
    void = [it.point.amount for it in steps if it.why_void]
    return [
        at_least("streams_borne", borne, "streams", None),
        *(at_most("streams_void_from", streams, "streams", None) for streams in void[:1]),
    ]


def _measure(concurrency: int, pace: Pace = PACE, processes: int = 1) -> Certified:
    point = ClosedLoop(concurrency)
    found = meet(
        {point: pace},
        plain_prompts(),
        prompt_tokens=PROMPT_TOKENS,
        output_tokens=LONG,
        duration_s=DURATION_S,
        processes=processes,
    )
    return certified(found.records[point], pace, found.ends[point].level.client, LONG)
