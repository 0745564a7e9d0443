"""``python -m tests.benches.agreement``: do load generators agree about one endpoint?

Ours, ``vllm bench serve``, GuideLLM and AIPerf load the same endpoint at 1, 8 and 32 streams: first
a null server, whose true figures are known, then a real llama.cpp, twice there and the second
time in the opposite order. Half of the processors serve it and the other half load it: what
a tool computes would else be the engine's loss. All ask for answers of one forced length, with
prompts of the same length that no engine has seen. At the null server ours is held to 3 % of the
truth, at the engine each is held to 3 % of ours: TTFT and TPOT at the median, and throughput as all
of them define it. Beside that stands by how much each tool was late at the null server, which is no
difference of the endpoint, and what an event costs each. Writes ``results/bench/agreement.json``.
"""

import argparse
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean

import yaml

from deploy.service import RUN_DIR
from loadtest.null_server import Pace, null_server
from loadtest.other_tools.foreign_run import ForeignRun
from loadtest.other_tools.side_by_side import columns, rows_of_theirs
from quantize.jobs.whole_file import write_whole
from quantize.root import ROOT
from tests.benches.agreement.costs import cost_figures
from tests.benches.agreement.ours import BY_EDGES, measure_ours
from tests.benches.agreement.peers import PEERS, Ask, PeerRun, run_peer
from tests.benches.agreement.served import Served, served_between, totals
from tests.benches.harness.bench_command import Bench, add_names, start
from tests.benches.harness.bench_figures import Figure, at_most
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.own_service import own_service

PLAN = Path(__file__).parent / "plan.yaml"
TOKENIZER = ROOT / "quantize" / "reference_model" / "weights"
STREAMS = (1, 8, 32)
PER_STREAM = {1: 16, 8: 8, 32: 4}
PROMPT_TOKENS, OUTPUT_TOKENS = 128, 32
PACE = Pace(ttft_s=0.05, gap_s=0.02)
# Of ours, where nobody has told yet how fast the endpoint is.
SECONDS = 4.0
OFF_LIMIT_PERCENT = 3.0
PASSES = {"null": 1, "llamacpp": 2}
ENDPOINTS = tuple(PASSES)
OURS = "ours"
# Our columns, and theirs for the same: throughput is theirs by the edges of the run.
METRICS = {"TTFT p50": "ttft", "TPOT p50": "tpot", BY_EDGES: "tok_per_s"}
LATENCIES = ("TTFT p50", "TPOT p50")

Figures = dict[str, float]
Told = Mapping[str, Figures]


@dataclass(kw_only=True)
class Findings:
    """What goes from one cell to another: processor seconds by tool, and lateness at the truth."""

    cpu_s: dict[tuple[int, str], float] = field(default_factory=dict)
    late: dict[int, Told] = field(default_factory=dict)


def truth(streams: int) -> Figures:
    """What the null server's schedule gives, in the columns of the table."""
    return {
        "TTFT p50": 1000 * PACE.ttft_s,
        "TPOT p50": 1000 * PACE.gap_s,
        BY_EDGES: streams * OUTPUT_TOKENS / PACE.end_s(OUTPUT_TOKENS),
    }


def theirs(found: PeerRun, name: str) -> Figures:
    """What a peer says, in the same columns."""
    run = ForeignRun(tool=name, version="", model="", cells=[found.cell])
    told = dict(rows_of_theirs(run)[0].figures)
    return {**told, BY_EDGES: told["tok/s"]}


def off_percent(its: Figures, against: Figures, column: str) -> float:
    """By how much a figure is off."""
    return 100 * abs(its[column] / against[column] - 1)


def figures_at_truth(place: str, told: Told, true: Figures) -> list[Figure]:
    """How far each is off what is known; ours is bounded, the others are who they are."""
    return [
        at_most(
            f"{metric}_{place}_{name}_off_truth",
            off_percent(its, true, column),
            "%",
            OFF_LIMIT_PERCENT if name == OURS else None,
        )
        for name, its in told.items()
        for column, metric in METRICS.items()
    ]


def figures_at_engine(place: str, told: Told, late: Told) -> list[Figure]:
    """How far each is off ours, and what is left of that without its lateness at the truth."""
    figures, ours = [], told[OURS]
    for name in (name for name in told if name != OURS):
        for column, metric in METRICS.items():
            off, what = off_percent(told[name], ours, column), f"{metric}_{place}_{name}_off_ours"
            figures.append(at_most(what, off, "%", OFF_LIMIT_PERCENT))
            if column in LATENCIES and {name, OURS} <= late.keys():
                mine = {column: ours[column] - late[OURS][column]}
                its = {column: told[name][column] - late[name][column]}
                rest = off_percent(its, mine, column)
                figures.append(at_most(f"{what}_but_for_lateness", rest, "%", None))
    return figures


def lateness(told: Told, true: Figures) -> Told:
    """What each tool adds to the latencies (ms), where the truth is known."""
    return {
        name: {column: its[column] - true[column] for column in LATENCIES}
        for name, its in told.items()
    }


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One endpoint under one load: ``passes`` times, every second time in the opposite order."""

    endpoint: str
    ask: Ask
    names: Sequence[str]
    passes: int

    @property
    def place(self) -> str:
        """As figures name it."""
        return f"{self.endpoint}_c{self.ask.streams}"

    def measure(self, run: BenchRun, findings: Findings) -> Told:
        """The means of all passes, by tool; ours last at first, as it lasts as long as they did."""
        found: dict[str, list[Figures]] = {name: [] for name in (*self.names, OURS)}
        served: dict[str, list[Served]] = {name: [] for name in found}
        for number in range(self.passes):
            ask = replace(self.ask, seed=100 * self.ask.streams + number)
            for name in list(found)[:: -1 if number % 2 else 1]:
                with run.cell(f"{self.place} {name}"):
                    before = totals(ask) if self.endpoint != "null" else None
                    found[name].append(self._one(name, ask, found, findings))
                    if before is not None:
                        served[name].append(served_between(before, totals(ask), ask))
        run.more[self.place] = {
            "figures": found,
            "served": {name: [*map(asdict, its)] for name, its in served.items()},
        }
        run.say(self._lines(_means(found), served))
        return _means(found)

    def _one(
        self, name: str, ask: Ask, found: Mapping[str, list[Figures]], findings: Findings
    ) -> Figures:
        if name == OURS:
            rates = [it[-1][BY_EDGES] for it in found.values() if it]
            seconds = ask.requests * ask.output_tokens / max(rates) if rates else SECONDS
            return measure_ours(ask, seconds)
        peer = run_peer(PEERS[name], ask)
        if self.endpoint == "null":
            findings.cpu_s[ask.streams, name] = peer.cpu_s
        return theirs(peer, name)

    def _lines(self, told: Told, served: Mapping[str, list[Served]]) -> str:
        shown = [*(column for column in columns() if column in LATENCIES), BY_EDGES]
        rows = [
            f"  {name:<12}"
            + "".join(f"{c} {its[c]:9.2f}  " for c in shown)
            + "".join(it.words for it in served[name][-1:])
            for name, its in told.items()
        ]
        return "\n".join([self.place, *rows])


def _means(found: Mapping[str, list[Figures]]) -> dict[str, Figures]:
    return {
        name: {column: fmean(it[column] for it in passes) for column in passes[0]}
        for name, passes in found.items()
        if passes
    }


def load_at(run: BenchRun, endpoint: str, ask: Ask, tools: Sequence[str], it: Findings) -> None:
    """Compare at every number of streams."""
    for streams in STREAMS:
        asked = replace(ask, streams=streams, requests=streams * PER_STREAM[streams])
        is_null = endpoint == "null"
        cell = Cell(endpoint=endpoint, ask=asked, names=tools, passes=PASSES[endpoint])
        told = cell.measure(run, it)
        if is_null:
            it.late[streams] = lateness(told, truth(streams))
            run.figures += figures_at_truth(cell.place, told, truth(streams))
        elif OURS in told:
            run.figures += figures_at_engine(cell.place, told, it.late.get(streams, {}))


def plan_of(model: Path | None) -> str:
    """The plan's file, or one of another model that is kept where the service runs."""
    if model is None:
        return str(PLAN)
    content = {**yaml.safe_load(PLAN.read_text()), "model": str(model.resolve())}
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    # The service itself keeps its own plan there, as plan.yaml.
    path = RUN_DIR / "agreement.yaml"
    write_whole(path, yaml.safe_dump(content, sort_keys=False))
    return str(path)


def halves(processors: Collection[int]) -> tuple[set[int], set[int]]:
    """The processors of the servers and of the clients; the same where there is one alone."""
    ordered = sorted(processors)
    middle = len(ordered) // 2
    return set(ordered[:middle] or ordered), set(ordered[middle:])


@contextmanager
def on_processors(processors: Collection[int]) -> Iterator[None]:
    """What is started in the block runs on these processors alone, also afterwards."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    """Both endpoints, all tools."""
    tools, findings = arguments.tools, Findings()
    ask = Ask(
        root="",
        model="",
        tokenizer=arguments.model or TOKENIZER,
        prompt_tokens=PROMPT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        streams=1,
        requests=1,
    )
    if "null" in arguments.endpoints:
        with null_server(ttft_s=PACE.ttft_s, tpot_s=PACE.gap_s) as port:
            there = replace(ask, root=f"http://127.0.0.1:{port}", model="null-model")
            load_at(run, "null", there, tools, findings)
            few_s = {name: it for (c, name), it in findings.cpu_s.items() if c == STREAMS[-1]}
            most = replace(
                there, streams=STREAMS[-1], requests=STREAMS[-1] * PER_STREAM[STREAMS[-1]]
            )
            cost_figures(run, most, few_s)
    if "llamacpp" in arguments.endpoints:
        servers, clients = halves(os.sched_getaffinity(0))
        with ExitStack() as stack:
            with on_processors(servers):
                service = stack.enter_context(
                    own_service(plan_of(arguments.model), "make bench-agreement", run.say, None)
                )
            (variant,) = service.plan.variants
            there = replace(ask, root=f"{service.url}/{variant}", model=variant)
            with on_processors(clients):
                load_at(run, "llamacpp", there, tools, findings)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "--tools", tuple(PEERS))
    add_names(parser, "--endpoints", ENDPOINTS)
    parser.add_argument("--model", type=Path, help="a folder, of whose Q8_0 llama.cpp is asked")


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
