"""Runs the tests that need torch where torch is: in the environment ``quantize``."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.setup.environments import python_of
from quantize.root import ROOT

MODULES = sorted(Path(__file__).parent.glob("**/in_quantize/test_*.py"))


@pytest.mark.engine
@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_module_passes_in_the_quantize_environment(module: Path) -> None:
    child = subprocess.run(
        [python_of("quantize"), "-m", "pytest", "-q", "-p", "no:cacheprovider", module],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert child.returncode == 0, f"\n{child.stdout}"


def test_there_are_modules_to_run() -> None:
    assert MODULES
