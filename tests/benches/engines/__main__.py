"""``python -m tests.benches.engines``: our llama.cpp server against ``llama-server``, upstream's
own, and llama-cpp-python's two.

The same Q4_K_M file, the same threads and the same compiled library, in rounds that take turns:
throughput of whole and of streamed answers at 1, 8 and 16 at a time, on the reference model and on
random weights in a 0.5B shape; and whether the log-probabilities are the model's own. Written to
``results/bench/engines.json``. The first run compiles ``llama-server``, which takes minutes.
"""

import argparse
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR
from quantize.artifact_paths import artifact_directory
from quantize.calibration.calibration_set import BUNDLED, calibration_plan, read_texts
from quantize.jobs.environment import tool_variables
from quantize.jobs.worker import run_job
from quantize.model_source import prepared
from quantize.source.source_model import REFERENCE, SourceModel, fingerprint
from services.variants import find_variant
from tests.benches.engines.client_pace import client_figure
from tests.benches.engines.peers import OURS, PEER_TITLES, PEERS, contenders
from tests.benches.engines.random_model_job import RANDOM_MODEL, RandomModelRequest
from tests.benches.engines.server_figures import Row, fastest_round, figure, rows, table
from tests.benches.engines.server_rounds import (
    Cell,
    Outcome,
    Sampling,
    Workload,
    measure,
    serving,
)
from tests.benches.engines.text_prompts import TextPrompts
from tests.benches.export.score_comparison import ScoreBench, compare, make
from tests.benches.harness.bench_command import Bench, add_names, start
from tests.benches.harness.bench_run import BenchRun

VARIANT = "gguf-q4_k_m"
RANDOM = "random-0.5b"
RANDOM_FOLDER = ARTIFACTS_DIR / RANDOM
# How answers are drawn, and whether they come as they are made.
WAYS: tuple[tuple[Sampling, bool], ...] = (
    ("greedy", False),
    ("greedy", True),
    ("sampled", False),
    ("sampled", True),
    ("nucleus", False),
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is asked of a model: rounds, and in each cell requests by concurrency."""

    rounds: int
    prompt_tokens: int
    output_tokens: int
    requests: dict[int, int]


SIZES = {
    REFERENCE: Size(rounds=5, prompt_tokens=32, output_tokens=64, requests={1: 16, 8: 40, 16: 64}),
    RANDOM: Size(rounds=5, prompt_tokens=16, output_tokens=32, requests={1: 4, 8: 8, 16: 16}),
}

# Of a model that is named.
ANOTHER = Size(rounds=5, prompt_tokens=32, output_tokens=64, requests={1: 4, 8: 16, 16: 32})


def measure_servers(run: BenchRun, arguments: argparse.Namespace) -> None:
    """Make the files, measure, and hold the client against the fastest server."""
    run.more["threads"] = arguments.threads
    found: list[Row] = []
    try:
        for name in (arguments.model,) if arguments.model else arguments.models:
            with run.cell(name):
                model = _model(name, arguments.threads)
                _hold_scores(run, name, model, arguments.threads)
                _add_rows(found, run, name, model, arguments)
    finally:
        _conclude(run, found)
    if (fastest := fastest_round(found)) is not None:
        with run.cell("client against a null server"):
            run.figures.append(client_figure(fastest))


def _conclude(run: BenchRun, found: list[Row]) -> None:
    servers = list(dict.fromkeys(title for row in found for title in (*row.rounds, *row.faults)))
    run.more["rows"] = [{**asdict(row), "cell": row.cell.name} for row in found]
    run.figures += [figure(row, OURS) for row in found]
    if found:
        run.say(table(found, servers))


def _hold_scores(run: BenchRun, name: str, model: SourceModel, threads: int) -> None:
    """Make the artifact, and hold the engine's log-probabilities against the model's own."""
    variant = find_variant(VARIANT)
    before = len(run.figures)
    with tempfile.TemporaryDirectory(prefix="assay-engines-") as scratch:
        bench = ScoreBench(
            model=model,
            recipes=(variant.recipe,),
            engines=(variant.engine.name,),
            threads=threads,
            scratch=Path(scratch),
        )
        compare(make(bench, run), run)
    scores = run.figures[before:]
    run.figures[before:] = [replace(item, name=f"{name} {item.name}") for item in scores]


def _add_rows(
    found: list[Row], run: BenchRun, name: str, model: SourceModel, arguments: argparse.Namespace
) -> None:
    """Every cell of every server, as far as it comes; one that a server failed is void."""
    all_variants = contenders(find_variant(VARIANT))
    variants = [item for item in all_variants if item.engine.title in (OURS, *arguments.peers)]
    workload = _workload(name, model, arguments)
    texts = read_texts(calibration_plan(BUNDLED, 1, 1).path)
    prompts = TextPrompts(prepared(model, ARTIFACTS_DIR).folder, texts, workload.prompt_tokens)
    outcomes: list[Outcome] = []
    try:
        with serving(variants, workload) as servers:
            outcomes.extend(measure(servers, workload, prompts, run.say))
    finally:
        found += rows(name, [variant.engine.title for variant in variants], outcomes)
    for outcome in outcomes:
        if outcome.fault is not None:
            run.leave_out(f"{name} {outcome.cell.name}: {outcome.server}", outcome.fault)


def _model(name: str, threads: int) -> SourceModel:
    """The reference model, one of the user's, or the random one, which is made once."""
    if name != RANDOM:
        return fingerprint(name)
    if not RANDOM_FOLDER.is_dir():
        print(f"making {name} …", flush=True)
        with tempfile.TemporaryDirectory(dir=ARTIFACTS_DIR, prefix=".random-") as folder:
            target = Path(folder) / name
            run_job(
                RANDOM_MODEL,
                RandomModelRequest(
                    source=fingerprint(REFERENCE).original.resolve(), target=target.resolve()
                ),
                log=Path(folder) / "log",
                variables=tool_variables(threads),
            )
            target.rename(RANDOM_FOLDER)
    return fingerprint(str(RANDOM_FOLDER))


def _workload(name: str, model: SourceModel, arguments: argparse.Namespace) -> Workload:
    size = SIZES.get(name, ANOTHER)
    cells = tuple(
        Cell(concurrency=concurrency, requests=requests, stream=stream, sampling=sampling)
        for sampling, stream in WAYS
        for concurrency, requests in size.requests.items()
    )
    return Workload(
        name=name,
        artifact=artifact_directory(ARTIFACTS_DIR, model, find_variant(VARIANT).recipe.name),
        prompt_tokens=size.prompt_tokens,
        output_tokens=size.output_tokens,
        rounds=arguments.rounds or size.rounds,
        cells=cells,
        threads=arguments.threads,
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "--models", list(SIZES))
    parser.add_argument("--model", help="instead of those: a folder, or an id on Hugging Face")
    add_names(parser, "--peers", PEER_TITLES)
    parser.add_argument("--rounds", type=int, help="of every model, instead of its own number")
    parser.add_argument("--threads", type=int, default=2)


BENCH = Bench(
    name="engines",
    about=__doc__,
    measure=measure_servers,
    add_options=_add_options,
    environments=(PEERS,),
)

if __name__ == "__main__":
    start(BENCH)
