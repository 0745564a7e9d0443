import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from quantize.jobs import tool_process
from quantize.jobs.tool_process import RefusedError, ToolError, environment_python, run_tool
from quantize.root import ROOT


def python(code: str, log: Path) -> tool_process.Usage:
    return run_tool([sys.executable, "-c", code], log=log, threads=1)


def test_time_and_peak_memory_are_those_of_the_tool(tmp_path: Path) -> None:
    usage = python("import time; x = bytearray(200_000_000); time.sleep(0.3)", tmp_path / "log")
    assert usage.seconds >= 0.3
    assert 200e6 < usage.peak_memory_bytes < 400e6


def test_output_goes_to_the_log_and_progress_reads_its_end(tmp_path: Path) -> None:
    seen: list[str] = []
    run_tool(
        [sys.executable, "-c", r"import time; print('\x1b[31mlayer 3\x1b[0m'); time.sleep(0.5)"],
        log=tmp_path / "log",
        threads=1,
        on_progress=lambda tail, _: seen.append(tail),
    )
    assert "layer 3\n" in seen


def test_a_failure_is_told_in_the_tools_own_words(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"exit code 1: ValueError: no such layer \(log: .*log\)"):
        python("raise ValueError('no such layer')", tmp_path / "log")


def test_a_refusal_is_the_last_line_alone(tmp_path: Path) -> None:
    code = "import sys; print('library 7.6'); print('give more text'); sys.exit(2)"
    with pytest.raises(RefusedError, match=r"exit code 2: give more text \(log: "):
        python(code, tmp_path / "log")


def test_a_full_disk_is_told_even_where_the_tool_could_not_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(total=10, used=10, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(ToolError, match=r"disk is full at .*make room.*it printed nothing"):
        python("raise SystemExit(1)", tmp_path / "log")


def test_a_tool_that_runs_out_of_memory_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"killed \(out of memory\?\)"):
        python("import os; os.kill(os.getpid(), 9)", tmp_path / "log")


def test_threads_are_fixed_and_the_network_is_not_asked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    python("import os; print(os.environ['OMP_NUM_THREADS'], os.environ['HF_HUB_OFFLINE'])", log)
    assert log.read_text() == "1 1\n"


def test_a_missing_environment_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_process, "VENVS", tmp_path)
    with pytest.raises(ToolError, match=r"'quantize' is missing.*make setup"):
        environment_python("quantize")


def test_the_tool_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from quantize.jobs.tool_process import run_tool; "
        "run_tool([sys.executable, '-c', 'import os, time; print(os.getpid()); time.sleep(60)'],"
        f" log=Path({str(tmp_path / 'log')!r}), threads=1)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as parent:
        pid = _wait_for_number(tmp_path / "log")
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pid)


def _wait_for_number(log: Path) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if log.exists() and log.read_text().strip():
            return int(log.read_text())
        time.sleep(0.05)
    raise AssertionError("the tool never started")


def _alive(pid: int) -> bool:
    """Whether a process runs; a zombie nobody collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
    finally:
        assert pid != os.getpid()
