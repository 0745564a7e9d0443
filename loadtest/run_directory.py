"""A run: one directory of results, named by the plan and by the hash of what it measures."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from deploy.plan import Plan
from deploy.service import read_record
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


@contextmanager
def taken_away_if_refused(directory: Path, *, is_new: bool) -> Iterator[None]:
    """Remove a new run that an error ends within the block before anything was measured.

    What the error itself points at stays.
    """
    try:
        yield
    except BaseException as error:
        empty = not any(directory.glob("*/rounds/*"))
        if is_new and empty and str(directory) not in str(error):
            shutil.rmtree(directory, ignore_errors=True)
        raise


@contextmanager
def in_place_of(directory: Path) -> Iterator[Path]:
    """Yield an empty directory that takes the place of another when the block ends well.

    After an error nothing is left of it, and the old one stays as it was.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as place:
        made = Path(place) / directory.name
        made.mkdir()
        yield made
        if directory.exists():
            directory.rename(Path(place) / "old")
        made.rename(directory)


def keep_plan(directory: Path, plan: Plan) -> None:
    """Keep the plan in a run's directory, in place of the last one."""
    content = yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False)
    write_whole(directory / "plan.yaml", content)


def begin_series(results: Path, url: str) -> int:
    """How many load tests the service at ``url`` has met before this one, which is counted.

    One that was just started has met none, so variants that are served one after the other are
    asked the same prompts. Of a service that this checkout did not start that is not known: there
    load tests count on.
    """
    path, service = results / _SERIES, _service_at(url)
    before = _stored(path).get(service, 0)
    write_whole(path, json.dumps({service: before + 1}) + "\n")
    return before


def _service_at(url: str) -> str:
    """A name of the running service that no later one has; the URL where it is not ours."""
    record = read_record()
    if record is None or record.url != url or not record.is_alive():
        return url
    return f"{record.host_pid}-{record.host_started}"


def _stored(path: Path) -> dict[str, int]:
    try:
        return {str(name): int(count) for name, count in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}
