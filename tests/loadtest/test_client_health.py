"""The load generator asks for the processor first, where it may."""

import os
import subprocess
import sys

import pytest

from quantize.root import ROOT

SCRIPT = """
import os, subprocess
from loadtest.client_health import go_first
{before}
go_first()
child = subprocess.check_output(["cat", "/proc/self/stat"], text=True).rsplit(")", 1)[1].split()
print(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, child[38])
"""


def policies(before: str = "") -> tuple[int, int]:
    """Scheduling policies of a process that asked, and of a child of it."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    mine, child = done.stdout.split()
    return int(mine), int(child)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root (sudo)")
def test_the_generator_runs_before_others_and_its_children_do_not() -> None:
    assert policies() == (os.SCHED_RR, os.SCHED_OTHER)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root (sudo), whose rights it drops")
def test_without_the_right_nothing_changes() -> None:
    assert policies("os.setgid(65534); os.setuid(65534)") == (os.SCHED_OTHER, os.SCHED_OTHER)
