"""Have the plan's artifacts made, in the environment that can."""

import os
import subprocess
from pathlib import Path

from deploy.environments import ROOT, python_of
from deploy.lifeline import guarded
from deploy.plan import Plan
from quantize.artifact_paths import artifact_directory
from quantize.recipes import with_sources
from quantize.source_model import SourceModel, fingerprint

ARTIFACTS_DIR = ROOT / "artifacts"


class StageError(RuntimeError):
    """A stage failed and has said why on its own output; ``code`` is its exit code."""

    def __init__(self, stage: str, code: int) -> None:
        super().__init__(f"{stage} failed (exit code {code}); see its message above")
        self.code = code


def recipe_names(plan: Plan) -> list[str]:
    """The recipes the plan's variants need, each after those it reads from."""
    wanted = [variant.recipe.name for variant in plan.resolved_variants()]
    return [recipe.name for recipe in with_sources(wanted)]


def artifact_of(plan: Plan, model: SourceModel, recipe: str) -> Path:
    """Where the artifact of one of the plan's recipes lies."""
    return artifact_directory(ARTIFACTS_DIR, model, recipe)


def source_model(plan: Plan) -> SourceModel:
    """The plan's model, found and fingerprinted.

    Raises:
        ValueError: there is no such model, or it cannot be used.
    """
    return fingerprint(plan.model)


def make_artifacts(plan: Plan) -> None:
    """Make what is missing of the plan's artifacts; finished ones are reused.

    Raises:
        StageError: the quantize command failed.
    """
    command = [
        str(python_of("quantize")),
        "-m",
        "quantize",
        "make",
        "--model",
        plan.model,
        "--recipes",
        ",".join(recipe_names(plan)),
        "--calibration-text",
        plan.calibration.text,
        "--samples",
        str(plan.calibration.samples),
        "--sequence-length",
        str(plan.calibration.sequence_length),
        "--artifacts",
        str(ARTIFACTS_DIR),
        "--threads",
        str(plan.serving.threads or len(os.sched_getaffinity(0))),
    ]
    run_stage("quantize", command)


def run_stage(name: str, command: list[str]) -> None:
    """Run one command of ours under a guard, from the repository's root, its output passed on.

    Raises:
        StageError: it ended with another exit code than 0.
    """
    child = subprocess.Popen(guarded(command), cwd=ROOT, start_new_session=True)
    try:
        code = child.wait()
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    if code:
        raise StageError(name, code)
