"""A run: one directory of results, named by the plan and by the hash of what it measures."""

from pathlib import Path

import yaml

from deploy.plan import Plan
from quantize.jobs.whole_file import write_whole
from quantize.root import ROOT

RESULTS_DIR = ROOT / "results"
_SERIES = ".load-tests"


def run_directory(plan: Plan, results: Path = RESULTS_DIR) -> Path:
    """The run's directory: ``results/<plan name>-<8 hex digits>``.

    Plans that differ only in the choice of variants or in the objectives share it, so their
    measurements are reused.
    """
    return results / f"{plan.name}-{plan.measuring_sha256()[:8]}"


def open_run(plan: Plan, results: Path = RESULTS_DIR) -> Path:
    """Make the run's directory and keep the plan in it; returns the directory."""
    directory = run_directory(plan, results)
    directory.mkdir(parents=True, exist_ok=True)
    keep_plan(directory, plan)
    return directory


def keep_plan(directory: Path, plan: Plan) -> None:
    """Keep the plan in a run's directory, in place of the last one."""
    content = yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False)
    write_whole(directory / "plan.yaml", content)


def begin_series(results: Path) -> int:
    """How many load tests have begun before this one, whatever run they were of; it is counted."""
    path = results / _SERIES
    before = int(path.read_text()) if path.is_file() else 0
    write_whole(path, f"{before + 1}\n")
    return before
