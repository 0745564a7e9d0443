"""The explorer as a stage of the comparison: what the number formats keep of the plan's model."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR, STOPPED, StageError, run_stage, source_model
from deploy.plan import Plan
from eval.explore.run import FOLDER
from eval.explore.schema import FIGURES_NAME
from quantize.artifact_paths import model_directory


def figures_path(plan: Plan) -> Path:
    """Where the explorer keeps the figures of the plan's model.

    Raises:
        ValueError: there is no such model.
    """
    return model_directory(ARTIFACTS_DIR, source_model(plan)) / FOLDER / FIGURES_NAME


def explore_formats(plan: Plan, say: Callable[[str], None]) -> None:
    """Measure and draw, or reuse what is there; a failure is said and stops nothing.

    Raises:
        StageError: it was stopped from outside.
    """
    command = [
        *(sys.executable, "-m", "eval.explore", "--model", plan.model),
        *("--calibration-text", plan.calibration.text, "--artifacts", str(ARTIFACTS_DIR)),
        *("--threads", str(plan.serving.threads or len(os.sched_getaffinity(0)))),
    ]
    try:
        run_stage("explore", command)
    except StageError as error:
        if error.code in STOPPED:
            raise
        say("the report goes on without the number formats")


def keep_figures(plan: Plan, run_dir: Path) -> None:
    """Copy the figures of the plan's model, where there are any, beside the run's other results."""
    path = figures_path(plan)
    if path.is_file():
        partial = run_dir / f"{FIGURES_NAME}.partial"
        shutil.copyfile(path, partial)
        partial.replace(run_dir / FIGURES_NAME)
