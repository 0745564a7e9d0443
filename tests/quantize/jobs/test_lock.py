"""A directory has one user at a time, and says who it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from quantize.jobs.lock import BusyError, hold
from quantize.root import ROOT

HOLDER = """
import sys, time
from pathlib import Path
from quantize.jobs.lock import hold
with hold(Path(sys.argv[1]), "make compare"):
    print("held", flush=True)
    time.sleep(300)
"""


def test_a_second_process_is_refused_with_the_first_ones_command_and_pid(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        message = rf"run is in use by make compare \(process {holder.pid}\)"
        with pytest.raises(BusyError, match=message), hold(folder, "make eval"):
            pass
        holder.kill()
        holder.wait()
        with hold(folder, "make eval"):
            pass


def test_a_child_does_not_keep_the_lock_of_its_parent(tmp_path: Path) -> None:
    with hold(tmp_path, "make eval"):
        child = subprocess.Popen(["sleep", "300"])
    try:
        with hold(tmp_path, "make eval"):
            pass
    finally:
        child.kill()
        child.wait()
