"""Make artifacts in a test: in its process, or in one that ends as our commands do.

``python -m tests.quantize.made MODEL ARTIFACTS TEXT RECIPE …``
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.command_end import run_command
from deploy.make_artifacts import carry_out
from quantize.calibration.calibration_set import calibration_plan
from quantize.make import make_artifacts
from quantize.order import Order
from quantize.root import ROOT
from quantize.source.source_model import fingerprint


def order(
    model: Path | str, artifacts: Path, text: Path | str, *recipes: str, samples: int = 8
) -> Order:
    """These recipes of a model, calibrated on so many short samples."""
    return Order(
        model=fingerprint(str(model)),
        recipe_names=recipes,
        calibration=calibration_plan(str(text), samples=samples, sequence_length=128),
        artifacts=artifacts,
        threads=2,
    )


def make(model: Path, artifacts: Path, text: Path, *recipes: str) -> tuple[list[Path], list[str]]:
    """Make recipes in this process; returns the artifacts' directories and the lines said."""
    lines: list[str] = []
    return make_artifacts(order(model, artifacts, text, *recipes), lines.append), lines


def command_of(model: Path | str, artifacts: Path, text: Path | str, *recipes: str) -> list[str]:
    """The command line that does the same in another process."""
    words = [str(model), str(artifacts), str(text), *recipes]
    return [sys.executable, "-m", "tests.quantize.made", *words]


def run(words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command from the repository's root."""
    return subprocess.run(
        words,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", **environment},
    )


def _made(model: str, artifacts: str, text: str, *recipes: str) -> Callable[[], None]:
    def say(line: str) -> None:
        print(line, flush=True)

    return lambda: carry_out(order(model, Path(artifacts), text, *recipes), say)


if __name__ == "__main__":
    run_command("quantize", _made(*sys.argv[1:]))
