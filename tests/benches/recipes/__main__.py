"""``python -m tests.benches.recipes``: every recipe of one model in one table, held against theory.

Makes what is missing, scores every artifact in one process, prints bits per weight (of the
quantized layers), seconds, peak memory, weight SNR, nats per token and accuracy, and writes
``results/bench/recipes.json``. Exits with 1 where a measurement contradicts theory.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR
from deploy.command_line import run_command
from eval.samples import Sample, by_task, read_samples
from quantize.artifact.manifest import read_manifest
from quantize.artifact_paths import artifact_directory
from quantize.calibration.calibration_set import BUNDLED, calibration_plan
from quantize.jobs.lifeline import follow_owner
from quantize.jobs.progress import ProgressLine
from quantize.jobs.tool_process import environment_python, run_tool
from quantize.make import make_artifacts
from quantize.order import Order
from quantize.recipes.catalogue import RECIPES, find_recipe
from quantize.root import ROOT
from quantize.source.source_model import REFERENCE, SourceModel, fingerprint
from tests.benches.harness.bench_figures import BENCH_DIR, write_figures
from tests.benches.recipes.files import Item, Request, Score
from tests.benches.recipes.ladders import climb
from tests.benches.recipes.recipe_table import figures, print_findings, print_table

TASKS_DIR = ROOT / "eval" / "tasks"
TEXT, CHOICE = "assay_text", "assay_choice"
_SAMPLES, _SEQUENCE_LENGTH = 64, 512
_CONTEXT_LENGTH = 1024
_SOURCE = "bf16"


def bench(model: SourceModel, names: list[str], limit: int, threads: int) -> bool:
    """Make, score, print, write; returns whether nothing contradicts theory."""
    recipes = [_SOURCE, *(name for name in names if name != _SOURCE)]
    order = Order(
        model=model,
        recipe_names=tuple(recipes),
        calibration=calibration_plan(BUNDLED, _SAMPLES, _SEQUENCE_LENGTH),
        artifacts=ARTIFACTS_DIR,
        threads=threads,
    )
    make_artifacts(order, lambda line: print(line, flush=True))
    folders = {name: artifact_directory(ARTIFACTS_DIR, model, name) for name in recipes}
    manifests = {name: read_manifest(folder) for name, folder in folders.items()}
    with tempfile.TemporaryDirectory(prefix="assay-recipes-") as scratch:
        scores, samples = _score(Path(scratch), folders, limit, threads)
    findings = climb(samples)
    print_table(manifests, scores)
    print_findings(findings)
    path = BENCH_DIR / "recipes.json"
    write_figures(path, figures(manifests, scores, findings), items=limit, model=model.name)
    print(f"written to {path}")
    return all(finding.met for finding in findings)


def _score(
    scratch: Path, folders: dict[str, Path], limit: int, threads: int
) -> tuple[dict[str, Score], dict[str, list[Sample]]]:
    """Scores and the perplexity task's samples by recipe, from one process."""
    items = tuple(
        Item(recipe=name, artifact=folder, samples=scratch / f"{name}.parquet")
        for name, folder in folders.items()
    )
    request = Request(
        source=folders[_SOURCE],
        items=items,
        tasks=(TEXT, CHOICE),
        tasks_dir=TASKS_DIR,
        limit=limit,
        context_length=_CONTEXT_LENGTH,
        threads=threads,
    )
    asked, answers = scratch / "request.json", scratch / "answers.jsonl"
    asked.write_text(request.model_dump_json())
    python = environment_python("quantize")
    with ProgressLine("scoring") as progress:
        run_tool(
            [python, "-m", "tests.benches.recipes.in_quantize.score_process", asked, answers],
            log=scratch / "log",
            threads=threads,
            env={"HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(scratch / "datasets")},
            on_progress=lambda tail, _: progress(_last_step(tail)),
        )
    scores = [Score.model_validate_json(line) for line in answers.read_text().splitlines()]
    samples = {item.recipe: by_task(read_samples(item.samples))[TEXT] for item in items}
    return {score.recipe: score for score in scores}, samples


def _last_step(tail: str) -> str:
    steps = re.findall(r"^scoring (\d+/\d+ \S+)$", tail, re.MULTILINE)
    return steps[-1] if steps else "loading"


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benches.recipes", description=__doc__)
    parser.add_argument("--model", default=REFERENCE, help="reference, or a folder")
    parser.add_argument("--recipes", default=",".join(RECIPES), help="names, separated by commas")
    parser.add_argument("--limit", type=int, default=300, help="items per task")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    follow_owner()

    def run() -> None:
        names = [find_recipe(name.strip()).name for name in arguments.recipes.split(",")]
        if not bench(fingerprint(arguments.model), names, arguments.limit, arguments.threads):
            sys.exit(1)

    run_command("bench-recipes", run)


if __name__ == "__main__":
    main()
