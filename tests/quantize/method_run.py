"""One recipe's method on a small model, in a folder of a test: what tools make, no artifact."""

import shutil
from pathlib import Path

from quantize.calibration.calibration_set import calibration_plan
from quantize.jobs.worker import Worker
from quantize.method import Job, Outcome
from quantize.methods import METHODS
from quantize.model_source import prepared
from quantize.recipes.catalogue import find_recipe
from quantize.source.source_model import fingerprint


def run_method(
    worker: Worker,
    model: Path,
    recipe: str,
    folder: Path,
    text: Path,
    *,
    samples: int = 8,
    sequence_length: int = 64,
    proof: Path | None = None,
) -> tuple[Path, Outcome]:
    """Run a recipe's method in the worker's process; returns ``<folder>/output`` and the outcome.

    The tool's log is ``<folder>/log``; the recipe reads the model itself.
    """
    found, output, scratch = find_recipe(recipe), folder / "output", folder / "scratch"
    output.mkdir(parents=True)
    scratch.mkdir()
    source = fingerprint(str(model))
    with (folder / "lock").open("ab") as lock:
        job = Job(
            model=source,
            folder=prepared(source, folder / "artifacts").folder,
            recipe=found,
            source=None,
            calibration=calibration_plan(
                str(text), samples=samples, sequence_length=sequence_length
            ),
            threads=2,
            output=output,
            scratch=scratch,
            log=folder / "log",
            lock_fd=lock.fileno(),
            worker=worker,
            proof=proof,
            progress=lambda _: None,
        )
        outcome = METHODS[found.method].make(job)
    shutil.rmtree(scratch)
    return output, outcome
