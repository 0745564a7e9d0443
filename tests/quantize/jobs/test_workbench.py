import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quantize.jobs.workbench import explain_os_error, locked, making
from quantize.root import ROOT

_WORK = """
import sys, time
from pathlib import Path
from quantize.jobs.workbench import locked, making
directory = Path(sys.argv[1])
with locked(directory, lambda: print("waiting", flush=True)), making(directory) as bench:
    (bench.output / "half").write_text("half")
    print("working", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def start(directory: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that works on ``directory``; returns when it prints its first word."""
    return subprocess.Popen(
        [sys.executable, "-c", _WORK, str(directory), str(seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def leftovers(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.parent.iterdir() if path.name != ".locks")


def test_a_directory_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "recipe"
    with locked(target, lambda: None), making(target) as bench:
        (bench.output / "file").write_text("x")
        (bench.scratch / "rubbish").write_text("x")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["file"]
    assert leftovers(target) == ["recipe"]


def test_an_older_directory_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "recipe"
    for content in ("old", "new"):
        with locked(target, lambda: None), making(target) as bench:
            (bench.output / content).write_text("x")
    assert [path.name for path in target.iterdir()] == ["new"]
    assert leftovers(target) == ["recipe"]


def test_an_error_leaves_nothing_unfinished(tmp_path: Path) -> None:
    target = tmp_path / "recipe"

    def fail() -> None:
        with locked(target, lambda: None), making(target) as bench:
            (bench.output / "half").write_text("x")
            raise OSError(errno.ENOSPC, "No space left on device", str(bench.output / "half"))

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert leftovers(target) == []


def test_a_full_disk_is_said_with_its_path() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/data/model.gguf")
    assert explain_os_error(error, Path("a")).startswith("the disk is full at /data/model.gguf")


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "recipe"
    with start(target, 60) as killed:
        assert said(killed) == "working"
        killed.send_signal(signal.SIGKILL)
    assert leftovers(target) == [".recipe.partial", ".recipe.scratch"]
    with locked(target, lambda: None):
        assert leftovers(target) == []


def test_a_second_process_waits_and_touches_nothing_meanwhile(tmp_path: Path) -> None:
    target = tmp_path / "recipe"
    with start(target, 1.5) as first:
        assert said(first) == "working"
        with start(target, 0) as second:
            assert said(second) == "waiting"
            assert (target.parent / ".recipe.partial" / "half").exists()
            assert said(second) == "working"
            assert first.wait(timeout=10) == 0
        assert second.returncode == 0
    assert leftovers(target) == ["recipe"]


def test_the_lock_outlives_its_owner_while_a_tool_holds_it(tmp_path: Path) -> None:
    target = tmp_path / "recipe"
    with locked(target, lambda: None) as held:
        tool = subprocess.Popen(["sleep", "1.5"], pass_fds=[held])
    started = time.monotonic()
    waits: list[bool] = []
    with tool, locked(target, lambda: waits.append(True)):
        waited_s = time.monotonic() - started
    assert waits == [True]
    assert waited_s > 0.5
