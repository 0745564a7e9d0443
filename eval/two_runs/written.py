"""The files of a comparison of two runs, and the error that ends it for CI."""

import json
from pathlib import Path
from typing import Any

from eval.two_runs.change_file import ChangeFile
from eval.two_runs.change_words import as_csv, as_markdown
from eval.two_runs.compared import compare_runs
from eval.two_runs.figures import TOLERANCE
from eval.two_runs.kept_run import find_run
from quantize.jobs.whole_file import write_whole

SCHEMA_PATH = Path(__file__).parent / "change.schema.json"


class WorseError(RuntimeError):
    """The later run is proven worse; the message says in what."""


class VoidError(RuntimeError):
    """Something was disturbed or lost, or nothing could be judged, so it is not known: measure
    again."""

    exit_code = 3


def write_change(
    before: str, after: str, *, folder: Path | None = None, tolerance: float = TOLERANCE
) -> tuple[ChangeFile, Path]:
    """Compare two runs by name or directory, and write JSON, Markdown and CSV.

    ``folder`` is where to; None: ``since-<the earlier run>`` in the later run's directory.

    Raises:
        KeptRunError: there is no such run, or they have nothing in common.
    """
    earlier, later = find_run(before), find_run(after)
    told = compare_runs(earlier, later, tolerance=tolerance)
    target = folder or later.folder / f"since-{earlier.folder.name}"
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / "change.csv", as_csv(told))
    write_whole(target / "change.md", as_markdown(told))
    write_whole(target / "change.json", told.model_dump_json(indent=2) + "\n")
    return told, target


def published_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``change.json``, as ``change.schema.json`` has it."""
    schema = ChangeFile.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def publish_schema() -> None:
    """Write the schema again, after ``ChangeFile`` has changed: ``python -m eval.two_runs``."""
    write_whole(SCHEMA_PATH, json.dumps(published_schema(), indent=2) + "\n")
