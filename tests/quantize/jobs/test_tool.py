import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from quantize.jobs.environment import tool_variables
from quantize.jobs.failure import RefusedError, ToolError, Usage
from quantize.jobs.tool import run_tool
from quantize.jobs.workbench import locked
from quantize.root import ROOT
from tests.quantize.jobs.processes import numbers_in, wait_until_gone


def python(code: str, log: Path) -> Usage:
    return run_tool([sys.executable, "-c", code], log=log, variables=tool_variables(1))


# In a process of its own: a child's peak begins at the size of the one that it was forked from.
MEASURE = """
import sys
from pathlib import Path
from quantize.jobs.environment import tool_variables
from quantize.jobs.tool import run_tool
code = "import time; x = bytearray(200_000_000); time.sleep(0.3)"
usage = run_tool([sys.executable, "-c", code], log=Path(sys.argv[1]), variables=tool_variables(1))
print(usage.seconds, usage.peak_memory_bytes)
"""


def test_time_and_peak_memory_are_those_of_the_tool(tmp_path: Path) -> None:
    words = [sys.executable, "-c", MEASURE, str(tmp_path / "log")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, peak_memory_bytes = (float(word) for word in done.stdout.split())
    assert seconds >= 0.3
    assert 200e6 < peak_memory_bytes < 400e6


def test_output_goes_to_the_log_and_progress_reads_its_end(tmp_path: Path) -> None:
    seen: list[str] = []
    run_tool(
        [sys.executable, "-c", r"import time; print('\x1b[31mlayer 3\x1b[0m'); time.sleep(0.5)"],
        log=tmp_path / "log",
        variables=tool_variables(1),
        on_progress=seen.append,
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


def test_a_disk_that_was_full_while_the_tool_wrote_is_told_though_it_has_room_again(
    tmp_path: Path,
) -> None:
    with pytest.raises(ToolError, match=r"disk is full at .*make room.*OSError: .Errno 28"):
        python("raise OSError(28, 'No space left on device')", tmp_path / "log")


def test_a_tool_that_runs_out_of_memory_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"killed \(out of memory\?\)"):
        python("import os; os.kill(os.getpid(), 9)", tmp_path / "log")


def test_a_tool_that_a_signal_stops_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="stopped by SIGSEGV"):
        python("import os; os.kill(os.getpid(), 11)", tmp_path / "log")


def test_threads_are_fixed_and_the_network_is_not_asked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    python("import os; print(os.environ['OMP_NUM_THREADS'], os.environ['HF_HUB_OFFLINE'])", log)
    assert log.read_text() == "1 1\n"


def test_the_tool_dies_with_its_owner_and_holds_the_lock_until_then(tmp_path: Path) -> None:
    tool = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    code = (
        "import os; from pathlib import Path; from quantize.jobs.tool import run_tool\n"
        "from quantize.jobs.workbench import locked\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "with locked(folder / 'artifact', print) as lock:\n"
        f"    run_tool([{sys.executable!r}, '-c', {tool!r}], log=folder / 'log',"
        " variables=os.environ, held=[lock])\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as owner:
        (pid,) = numbers_in(tmp_path / "log", 1)
        assert pid != os.getpid()
        owner.send_signal(signal.SIGKILL)
    with locked(tmp_path / "artifact", lambda: None):
        assert wait_until_gone([pid], 1)
