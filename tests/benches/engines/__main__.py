"""``python -m tests.benches.engines``: our llama.cpp server against llama-cpp-python's two.

The same Q4_K_M file, the same threads and the same compiled library, in rounds that take turns:
throughput of whole and of streamed answers at 1, 8 and 16 at a time, on the reference model and on
random weights in a 0.5B shape; and whether the log-probabilities are the model's own. Written to
``results/bench/engines.json``.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR
from deploy.command_line import run_command
from deploy.setup.installer import set_up
from quantize.calibration.calibration_set import BUNDLED, calibration_plan, read_texts
from quantize.jobs.tool_process import environment_python, run_tool
from quantize.source.source_model import REFERENCE, SourceModel, fingerprint
from services.variants import find_variant
from tests.benches.engines.client_pace import client_figure
from tests.benches.engines.peers import PEERS, contenders
from tests.benches.engines.server_figures import RATIO, Row, fastest_round, figure, rows, table
from tests.benches.engines.server_rounds import Cell, Workload, measure, serving
from tests.benches.engines.text_prompts import TextPrompts
from tests.benches.export.score_comparison import Bench, compare, make
from tests.benches.harness.bench_figures import BENCH_DIR, Figure, write_figures

VARIANT = "gguf-q4_k_m"
RANDOM_MODEL = ARTIFACTS_DIR / "random-0.5b"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is asked of a model: rounds, and in each cell requests by concurrency."""

    rounds: int
    prompt_tokens: int
    output_tokens: int
    requests: dict[int, int]


SIZES = {
    REFERENCE: Size(rounds=5, prompt_tokens=32, output_tokens=64, requests={1: 16, 8: 40, 16: 64}),
    "random-0.5b": Size(
        rounds=5, prompt_tokens=16, output_tokens=32, requests={1: 4, 8: 8, 16: 16}
    ),
}


def run(models: Sequence[str], threads: int) -> bool:
    """Make the files, measure, print, write; returns whether every limit is met."""
    set_up([PEERS])
    figures: list[Figure] = []
    found: list[Row] = []
    specs = contenders(find_variant(VARIANT))
    servers = [spec.title for spec in specs]
    for name in models:
        model = _model(name, threads)
        with tempfile.TemporaryDirectory(prefix="assay-engines-") as scratch:
            bench = _bench(model, threads, Path(scratch))
            make(bench)
            _, scores = compare(bench)
            figures += [replace(item, name=f"{name} {item.name}") for item in scores]
        workload = _workload(name, bench.artifact(VARIANT), threads)
        texts = read_texts(calibration_plan(BUNDLED, 1, 1).path)
        prompts = TextPrompts(model.folder, texts, workload.prompt_tokens)
        with serving(specs, workload) as children:
            outcomes = measure(children, workload, prompts, lambda line: print(line, flush=True))
        found += rows(name, servers, outcomes)
    figures += [figure(row, servers[0]) for row in found]
    if (fastest := fastest_round(found)) is not None:
        figures.append(client_figure(fastest))
    _print(figures, found, servers)
    path = BENCH_DIR / "engines.json"
    kept = [{**asdict(row), "cell": row.cell.name} for row in found]
    write_figures(path, figures, threads=threads, rows=kept)
    print(f"written to {path}")
    return all(item.met is not False for item in figures)


def _model(name: str, threads: int) -> SourceModel:
    """The reference model, or the random one, which is made once."""
    if name == REFERENCE:
        return fingerprint(name)
    if not RANDOM_MODEL.is_dir():
        print(f"making {name} …", flush=True)
        with tempfile.TemporaryDirectory(dir=ARTIFACTS_DIR, prefix=".random-") as folder:
            target = Path(folder) / name
            run_tool(
                [
                    environment_python("quantize"),
                    *("-m", "tests.benches.engines.in_quantize.random_model"),
                    *(fingerprint(REFERENCE).folder.resolve(), target),
                ],
                log=Path(folder) / "log",
                threads=threads,
            )
            target.rename(RANDOM_MODEL)
    return fingerprint(str(RANDOM_MODEL))


def _bench(model: SourceModel, threads: int, scratch: Path) -> Bench:
    variant = find_variant(VARIANT)
    return Bench(
        model=model,
        recipes=(variant.recipe,),
        engines=(variant.engine.name,),
        threads=threads,
        scratch=scratch,
    )


def _workload(name: str, artifact: Path, threads: int) -> Workload:
    size = SIZES[name]
    cells = tuple(
        Cell(concurrency=concurrency, requests=requests, stream=stream, sampled=sampled)
        for stream, sampled in ((False, False), (True, False), (True, True))
        for concurrency, requests in size.requests.items()
    )
    return Workload(
        name=name,
        artifact=artifact,
        prompt_tokens=size.prompt_tokens,
        output_tokens=size.output_tokens,
        rounds=size.rounds,
        cells=cells,
        threads=threads,
    )


def _print(figures: Sequence[Figure], found: Sequence[Row], servers: Sequence[str]) -> None:
    print("\n".join(table(found, servers)))
    for item in figures:
        if item.unit != RATIO:
            mark = "" if item.met else "  !"
            print(f"{item.name:<64}{item.value:>12,.5g} {item.unit}  limit {item.limit:,.5g}{mark}")


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benches.engines", description=__doc__)
    parser.add_argument("--models", default=",".join(SIZES), help="names, separated by commas")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    models = [name.strip() for name in arguments.models.split(",")]

    def command() -> None:
        if unknown := set(models) - set(SIZES):
            raise ValueError(f"models: {', '.join(unknown)} unknown (valid: {', '.join(SIZES)})")
        if not run(models, arguments.threads):
            sys.exit(1)

    run_command("bench-engines", command)


if __name__ == "__main__":
    main()
