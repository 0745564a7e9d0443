"""Runs the tests that need torch where torch is: in one process of the environment ``quantize``.

covers: tests/**/in_quantize/test_*.py
"""

import os
import subprocess
from pathlib import Path

import pytest

from quantize.jobs.environment import python_of
from quantize.root import ROOT

MODULES = sorted(Path(__file__).parent.glob("**/in_quantize/test_*.py"))


@pytest.mark.long
def test_they_pass_in_the_quantize_environment() -> None:
    assert MODULES
    # One thread: the tensors are small, and the other tests have the second core.
    child = subprocess.run(
        [python_of("quantize"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *MODULES],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert child.returncode == 0, f"\n{child.stdout}"
