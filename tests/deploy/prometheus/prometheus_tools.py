"""Debian's `prometheus` and `promtool`, which the tests need and pip cannot install."""

import shutil
import subprocess
from pathlib import Path

import pytest

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="Prometheus is not installed (apt-get install prometheus)",
)


def promtool(*arguments: str | Path, stdin: str = "") -> str:
    """Run promtool; returns what it said, and fails the test where it found fault."""
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said
