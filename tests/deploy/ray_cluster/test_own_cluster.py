"""A start of Ray that failed is tried again, on a machine that the failed one has left empty."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from quantize.root import ROOT


def started(folder: Path, failures: int) -> dict[str, Any]:
    """What a start tells after so many failures (see ``start_slowly``)."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.deploy.ray_cluster.start_slowly", str(folder), str(failures)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_what_a_failed_start_left_is_ended_before_the_next_one(tmp_path: Path) -> None:
    assert started(tmp_path, 1) == {"met": [0, 0], "alive": 1, "error": None}


def test_a_start_that_fails_every_time_is_told_with_its_reason(tmp_path: Path) -> None:
    told = started(tmp_path, 6)
    assert told["met"] == [0] * 6
    assert "timed out during startup" in told["error"]
