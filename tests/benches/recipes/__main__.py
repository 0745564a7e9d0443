"""``python -m tests.benches.recipes``: every recipe of one model in one table, held against theory.

Makes what is missing, scores every artifact in one process, prints bits per weight (of the
quantized layers), seconds, peak memory, weight SNR, nats per token and accuracy, and writes
``results/bench/recipes.json``. Exits with 1 where a measurement contradicts theory.

A model is calibrated on the text, and asked the tasks, that it gets by default: the bundled one
those of its invented world, every other the general ones.
"""

import argparse
import tempfile
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR
from deploy.plan_model import GENERAL_TASKS, WORLD_TASKS
from eval.samples import by_task, read_samples
from quantize.artifact.manifest import read_manifest
from quantize.artifact_paths import artifact_directory
from quantize.calibration.calibration_set import BUNDLED, CalibrationPlan, calibration_plan
from quantize.calibration.default_text import default_text
from quantize.jobs.environment import tool_variables
from quantize.jobs.job_module import Progress
from quantize.jobs.progress import ProgressLine
from quantize.jobs.worker import run_job
from quantize.order import Order
from quantize.recipes.catalogue import RECIPES
from quantize.root import ROOT
from quantize.source.source_model import REFERENCE, fingerprint
from tests.benches.harness.bench_artifacts import make_or_void
from tests.benches.harness.bench_command import Bench, add_names, start
from tests.benches.harness.bench_run import UNMEASURED, BenchRun
from tests.benches.recipes.files import RECIPE_SCORES, Item, Request, Score
from tests.benches.recipes.ladders import climb
from tests.benches.recipes.recipe_table import figures, findings_table, recipes_table

TASKS_DIR = ROOT / "eval" / "tasks"
_SAMPLES, _SEQUENCE_LENGTH = 64, 512
_CONTEXT_LENGTH = 1024
_SOURCE = "bf16"


def tasks_of(model: str) -> tuple[str, ...]:
    """A task of whole texts, and one of choices, which fit the model."""
    return (WORLD_TASKS if default_text(model) == BUNDLED else GENERAL_TASKS)[:2]


def measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    """Make, score, hold against theory; a recipe that fails in between is void.

    Without the unquantized one nothing is scored: the others are compared with it.
    """
    model = fingerprint(arguments.model)
    recipes = [_SOURCE, *(name for name in arguments.recipes if name != _SOURCE)]
    order = Order(
        model=model,
        recipe_names=tuple(recipes),
        calibration=_calibration(arguments),
        artifacts=ARTIFACTS_DIR,
        threads=arguments.threads,
    )
    run.more |= {"items": arguments.limit, "model": model.name}
    made = make_or_void(order, run)
    if _SOURCE not in made:
        return run.leave_out("all scores", f"there is no {_SOURCE}, which they are compared with")
    folders = {name: artifact_directory(ARTIFACTS_DIR, model, name) for name in made}
    with tempfile.TemporaryDirectory(prefix="assay-recipes-") as scratch:
        request = _request(Path(scratch), folders, arguments)
        scores: dict[str, Score] = {}
        try:
            score(run, request, Path(scratch), scores)
        finally:
            conclude(run, request, scores)


def _calibration(arguments: argparse.Namespace) -> CalibrationPlan:
    text = arguments.calibration_text or default_text(arguments.model)
    return calibration_plan(text, _SAMPLES, _SEQUENCE_LENGTH)


def _request(scratch: Path, folders: dict[str, Path], arguments: argparse.Namespace) -> Request:
    return Request(
        source=folders[_SOURCE],
        items=tuple(
            Item(recipe=name, artifact=folder, samples=scratch / f"{name}.parquet")
            for name, folder in folders.items()
        ),
        tasks=tasks_of(arguments.model),
        tasks_dir=TASKS_DIR,
        limit=arguments.limit,
        context_length=_CONTEXT_LENGTH,
        threads=arguments.threads,
    )


def score(run: BenchRun, request: Request, scratch: Path, scores: dict[str, Score]) -> None:
    """Score all artifacts in one process; the one at which it fails is void, and it goes on."""
    left = request.items
    while left:
        failed = ""
        try:
            _score(request.model_copy(update={"items": left}), scratch, scores)
        except UNMEASURED as error:
            failed = str(error)
        left = tuple(item for item in left if item.recipe not in scores)
        if left:
            run.leave_out(f"{left[0].recipe}: scores", failed)
        left = left[1:]


def _score(request: Request, scratch: Path, scores: dict[str, Score]) -> None:
    """Ask for all scores; each is kept as soon as it is told."""
    datasets = {"HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(scratch / "datasets")}
    with ProgressLine("scoring") as progress:

        def told(said: Progress | Score | None) -> None:
            if isinstance(said, Score):
                scores[said.recipe] = said
            progress(said.words if isinstance(said, Progress) else "")

        run_job(
            RECIPE_SCORES,
            request,
            log=scratch / "log",
            variables=tool_variables(request.threads, datasets),
            told=told,
        )


def conclude(run: BenchRun, request: Request, scores: dict[str, Score]) -> None:
    """Figures and tables of every recipe that was scored."""
    scored = [item for item in request.items if item.recipe in scores]
    manifests = {item.recipe: read_manifest(item.artifact) for item in scored}
    text = request.tasks[0]
    samples = {item.recipe: by_task(read_samples(item.samples))[text] for item in scored}
    findings = climb(samples)
    run.figures += figures(manifests, scores, findings)
    run.say(f"\n{recipes_table(manifests, scores)}\n\n{findings_table(findings)}")


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default=REFERENCE, help="reference, or a folder")
    parser.add_argument(
        "--calibration-text", help="bundled, general, or a file; by the model without"
    )
    add_names(parser, "--recipes", list(RECIPES))
    parser.add_argument("--limit", type=int, default=300, help="items per task")
    parser.add_argument("--threads", type=int, default=2)


BENCH = Bench(name="recipes", about=__doc__, measure=measure, add_options=_add_options)

if __name__ == "__main__":
    start(BENCH)
