"""A command that comes before set-up names the remedy instead of a shell's error."""

import subprocess
from pathlib import Path

import pytest

from deploy.environments import ROOT


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
