"""The explorer as a stage of the comparison: what the number formats keep of the plan's model."""

from collections.abc import Callable
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR, source_model
from deploy.plan import Plan
from eval.explore.explorer_figures import FIGURES_NAME
from eval.explore.run import FOLDER, ExploreOrder, explore
from quantize.artifact_paths import model_directory
from quantize.calibration.calibration_set import calibration_plan
from quantize.jobs.failure import ToolError
from quantize.jobs.whole_file import write_whole
from quantize.processors import usable_cpus


def figures_path(plan: Plan) -> Path:
    """Where the explorer keeps the figures of the plan's model.

    Raises:
        ValueError: there is no such model.
    """
    return model_directory(ARTIFACTS_DIR, source_model(plan)) / FOLDER / FIGURES_NAME


def explore_formats(plan: Plan, say: Callable[[str], None]) -> None:
    """Measure and draw, or reuse what is there; a failure is said and stops nothing."""
    try:
        explore(_order(plan), say)
    except (ToolError, ValueError, OSError) as error:
        say(f"explore: {error}\nthe report goes on without the number formats")


def _order(plan: Plan) -> ExploreOrder:
    # The explorer takes as much of the text as it needs; the sizes asked here decide nothing.
    text = calibration_plan(plan.calibration.text, samples=1, sequence_length=1)
    return ExploreOrder(
        model=source_model(plan),
        calibration=text.path,
        artifacts=ARTIFACTS_DIR,
        output=None,
        threads=plan.serving.threads or usable_cpus(),
    )


def keep_figures(plan: Plan, run_dir: Path) -> None:
    """Copy the figures of the plan's model, where there are any, beside the run's other results."""
    path = figures_path(plan)
    if path.is_file():
        write_whole(run_dir / FIGURES_NAME, path.read_bytes())
