"""Make artifacts in a test, through the functions and through the command."""

import subprocess
import sys
from pathlib import Path

from quantize.calibration.calibration_set import calibration_plan
from quantize.make import make_artifacts
from quantize.order import Order
from quantize.root import ROOT
from quantize.source.source_model import fingerprint


def make(model: Path, artifacts: Path, text: Path, *recipes: str) -> tuple[list[Path], list[str]]:
    """Make recipes in this process; returns the artifacts' directories and the lines said."""
    lines: list[str] = []
    order = Order(
        model=fingerprint(str(model)),
        recipe_names=recipes,
        calibration=calibration_plan(str(text), samples=8, sequence_length=128),
        artifacts=artifacts,
        threads=2,
    )
    return make_artifacts(order, lines.append), lines


def arguments(model: Path, artifacts: Path, text: Path, recipes: str) -> list[str]:
    """The command line that does the same."""
    return [
        *(sys.executable, "-m", "quantize", "make", "--model", str(model), "--recipes", recipes),
        *("--calibration-text", str(text), "--samples", "8", "--sequence-length", "128"),
        *("--artifacts", str(artifacts)),
    ]


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command from the repository's root."""
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", **environment},
    )
