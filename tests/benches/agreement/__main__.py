"""``python -m tests.benches.agreement``: do load generators agree about one endpoint?

Ours, ``vllm bench serve``, GuideLLM and AIPerf load the same endpoint at 1, 8 and 32 streams, in
turns that the second pass reverses: first a null server, whose true figures are known, then a real
llama.cpp. Held to 3 % of ours (of the truth, where it is known): TTFT and TPOT at the median, and
throughput. What each costs per event is told beside. Writes ``results/bench/agreement.json``.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from deploy.plan_load import ClosedLoopLoad
from loadtest.any_endpoint.endpoint_load import Asked, load_endpoint
from loadtest.any_endpoint.probe import Found
from loadtest.client_cost import measure_cost
from loadtest.dialect import Dialect
from loadtest.load_file import REQUESTS_NAME
from loadtest.null_server import Pace, null_server
from loadtest.other_tools.foreign_run import ForeignRun
from loadtest.other_tools.side_by_side import columns, rows_of_ours, rows_of_theirs
from loadtest.prompts import plain_prompts
from loadtest.records import RequestRecord, read_records
from loadtest.texts import exact_texts
from quantize.calibration.calibration_set import BUNDLED_TEXT, read_texts
from quantize.root import ROOT
from tests.benches.agreement.peers import PEERS, Ask, PeerRun, event_cost_us, run_peer
from tests.benches.harness.bench_command import Bench, add_names, start
from tests.benches.harness.bench_figures import Figure, at_most
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.own_service import own_service

PLAN = Path(__file__).parent / "plan.yaml"
TOKENIZER = ROOT / "quantize" / "reference_model" / "weights"
STREAMS = (1, 8, 32)
PER_STREAM = {1: 16, 8: 8, 32: 8}
PROMPT_TOKENS, OUTPUT_TOKENS = 128, 32
PACE = Pace(ttft_s=0.05, gap_s=0.02)
SECONDS = 4.0
OFF_LIMIT_PERCENT = 3.0
ENDPOINTS = ("null", "llamacpp")
OURS = "ours"
METRICS = {"TTFT p50": "ttft", "TPOT p50": "tpot", "tok/s": "tok_per_s"}

Figures = dict[str, float]
# Processor seconds and events, by place and tool.
Costs = dict[tuple[str, str], tuple[float, int]]


def truth(streams: int) -> Figures:
    """What the null server's schedule gives, in the columns of the table."""
    answer_s = PACE.end_s(OUTPUT_TOKENS)
    return {
        "TTFT p50": 1000 * PACE.ttft_s,
        "TPOT p50": 1000 * PACE.gap_s,
        "tok/s": streams * OUTPUT_TOKENS / answer_s,
    }


def edge_rate(records: Sequence[RequestRecord]) -> float:
    """Throughput as the others define it: tokens / (last response - first send)."""
    good = [record for record in records if record.error is None]
    seconds = max(r.end_s for r in good) - min(r.send_s for r in good)
    return sum(r.output_tokens for r in good) / seconds


def ours(ask: Ask) -> Figures:
    """What our load test says of the endpoint."""
    load = ClosedLoopLoad(
        concurrencies=(ask.streams,),
        rounds=1,
        warmup_s=0.5,
        duration_s=SECONDS,
        prompt_tokens=ask.prompt_tokens,
        output_tokens=ask.output_tokens,
    )
    dialect = Dialect(api="completions", model=ask.model)
    with tempfile.TemporaryDirectory(prefix="assay-agreement-") as name:
        asked = Asked(
            url=f"{ask.root}/v1",
            key="",
            found=Found(dialect=dialect, server="", remarks=()),
            load=load,
            # Our prompt has no BOS of its own here: the server adds it, as to theirs.
            texts=exact_texts(read_texts(BUNDLED_TEXT), ask.prompt_tokens, ask.tokenizer),
            folder=Path(name),
        )
        found, _ = load_endpoint(asked, lambda _: None)
        records = read_records(Path(name) / REQUESTS_NAME)
    return {**rows_of_ours(found)[0].figures, "tok/s by edges": edge_rate(records)}


def theirs(found: PeerRun, name: str) -> Figures:
    """What a peer says, in the same columns."""
    run = ForeignRun(tool=name, version="", model="", cells=[found.cell])
    return dict(rows_of_theirs(run)[0].figures)


def off_figures(
    place: str, told: Mapping[str, Figures], against: Figures, name_of_it: str
) -> list[Figure]:
    """How far each is off, in percent; where they count the same it is bounded."""
    figures = []
    for name, its in told.items():
        for column, metric in METRICS.items():
            if column in its:
                off = 100 * abs(its[column] / against[column] - 1)
                limit = OFF_LIMIT_PERCENT if metric != "tok_per_s" or name == OURS else None
                figures.append(
                    at_most(f"{metric}_{place}_{name}_off_{name_of_it}", off, "%", limit)
                )
    return figures


def measure_cell(
    run: BenchRun, place: str, ask: Ask, names: Sequence[str], costs: Costs
) -> dict[str, Figures]:
    """All tools at one load, twice in opposite order; the means of both, by tool."""
    passes: dict[str, list[Figures]] = {name: [] for name in names}
    for order in (names, names[::-1]):
        for name in order:
            with run.cell(f"{place} {name}"):
                if name == OURS:
                    passes[name].append(ours(ask))
                    continue
                found = run_peer(PEERS[name], ask)
                passes[name].append(theirs(found, name))
                costs[place, name] = (found.cpu_s, ask.requests * ask.output_tokens)
    return {
        name: {column: fmean(it[column] for it in found) for column in found[0]}
        for name, found in passes.items()
        if found
    }


def load_at(run: BenchRun, endpoint: str, ask: Ask, names: Sequence[str], costs: Costs) -> None:
    """Compare at every number of streams."""
    for streams in STREAMS:
        asked = replace(ask, streams=streams, requests=streams * PER_STREAM[streams])
        place = f"{endpoint}_c{streams}"
        told = measure_cell(run, place, asked, names, costs)
        run.say(_line(place, told))
        run.more[place] = told
        if endpoint == "null":
            run.figures += off_figures(place, told, truth(streams), "truth")
        elif OURS in told:
            others = {name: its for name, its in told.items() if name != OURS}
            run.figures += off_figures(place, others, told[OURS], "ours")


def _line(place: str, told: Mapping[str, Figures]) -> str:
    shown = [*(column for column in columns() if column in METRICS), "tok/s by edges"]
    rows = [
        f"  {name:<12}" + "".join(f"{c} {its[c]:9.2f}  " for c in shown if c in its)
        for name, its in told.items()
    ]
    return "\n".join([place, *rows])


def cost_figures(costs: Costs) -> list[Figure]:
    """Microseconds of processor per event, of each peer from its runs at the null server."""
    ours_us = measure_cost(plain_prompts()).per_event_us
    figures = [at_most("event_cost_ours", ours_us, "us", None)]
    for name in PEERS:
        few, many = costs.get(("null_c8", name)), costs.get(("null_c32", name))
        if few and many:
            cost_us = event_cost_us(few, many)
            figures.append(at_most(f"event_cost_{name}", cost_us, "us", None, ours_us))
    return figures


def measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    """Both endpoints, all tools."""
    names, costs = [OURS, *arguments.tools], Costs()
    ask = Ask(
        root="",
        model="",
        tokenizer=TOKENIZER,
        prompt_tokens=PROMPT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        streams=1,
        requests=1,
    )
    if "null" in arguments.endpoints:
        with null_server(ttft_s=PACE.ttft_s, tpot_s=PACE.gap_s) as port:
            there = replace(ask, root=f"http://127.0.0.1:{port}", model="null-model")
            load_at(run, "null", there, names, costs)
        with run.cell("what an event costs"):
            run.figures += cost_figures(costs)
    if "llamacpp" in arguments.endpoints:
        with own_service(str(PLAN), "make bench-agreement", run.say, None) as service:
            (variant,) = service.plan.variants
            there = replace(ask, root=f"{service.url}/{variant}", model=variant)
            load_at(run, "llamacpp", there, names, costs)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "--tools", tuple(PEERS))
    add_names(parser, "--endpoints", ENDPOINTS)


BENCH = Bench(
    name="agreement",
    about=__doc__,
    measure=measure,
    add_options=_add_options,
    distributions=("locust", "gevent"),
    environments=("clients",),
)

if __name__ == "__main__":
    start(BENCH)
