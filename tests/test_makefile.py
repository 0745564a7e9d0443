"""A command that comes before set-up names the remedy instead of a shell's error.

covers: Makefile
"""

import os
import subprocess
from pathlib import Path

import pytest

from quantize.root import ROOT


@pytest.mark.parametrize("target", ["status", "eval", "report", "loadtest", "down"])
def test_before_set_up_a_command_names_the_remedy(tmp_path: Path, target: str) -> None:
    done = subprocess.run(
        ["make", "-C", str(tmp_path), "-f", str(ROOT / "Makefile"), target],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "nothing is installed yet: run `make setup` first" in done.stderr
    assert "No such file" not in done.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["RAY_ADDRESS=10.0.0.1:6379"], ["up", "--ray-address", "10.0.0.1:6379"]),
        ([], ["deploy", "up"]),
    ],
)
def test_the_clusters_address_reaches_the_command(options: list[str], expected: list[str]) -> None:
    done = subprocess.run(
        ["make", "-n", "-C", str(ROOT), "deploy-all", *options],
        capture_output=True,
        text=True,
        check=True,
        env={key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"},
    )
    (line,) = (line for line in done.stdout.splitlines() if "-m deploy up" in line)
    assert line.split()[-len(expected) :] == expected
