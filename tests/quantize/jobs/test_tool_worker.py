import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quantize.jobs import tool_worker
from quantize.jobs.tool_process import ToolError, Usage
from quantize.jobs.tool_worker import ToolModule, ToolWorker
from quantize.jobs.workbench import locked
from quantize.root import ROOT

ECHO = ToolModule(module="tests.quantize.jobs.echo_tool", environment="here", threads=1)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run tools with this interpreter: the tests need none of the other environments."""
    monkeypatch.setattr(tool_worker, "environment_python", lambda _: Path(sys.executable))


@pytest.fixture
def worker() -> Iterator[ToolWorker]:
    with ToolWorker() as held:
        yield held


def ask(worker: ToolWorker, folder: Path, name: str, **request: object) -> tuple[Usage, Path]:
    """Send one request; returns its usage and the file that the tool wrote its process id to."""
    path, out = folder / f"{name}.json", folder / f"{name}.pid"
    path.write_text(json.dumps({"words": name, "out": str(out), **request}))
    with (folder / "lock").open("ab") as lock:
        usage = worker.run(ECHO, path, log=folder / f"{name}.log", lock_fd=lock.fileno())
    return usage, out


def test_one_process_carries_out_several_jobs_each_with_its_own_log(
    worker: ToolWorker, tmp_path: Path
) -> None:
    pids = [ask(worker, tmp_path, name)[1].read_text() for name in ("first", "second")]
    assert pids[0] == pids[1]
    assert (tmp_path / "second.log").read_text() == "progress: second\n"


def test_peak_memory_is_that_of_the_job(worker: ToolWorker, tmp_path: Path) -> None:
    large, _ = ask(worker, tmp_path, "large", bytes=300_000_000)
    small, _ = ask(worker, tmp_path, "small")
    assert small.peak_memory_bytes < 200e6
    assert 300e6 < large.peak_memory_bytes < 500e6


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        ("input", r"exit code 2: the text is too short"),
        ("tool", r"exit code 1: RuntimeError: no such layer"),
        ("killed", r"killed \(out of memory\?\)"),
    ],
)
def test_a_failure_is_told_and_the_next_job_gets_a_new_process(
    worker: ToolWorker, tmp_path: Path, fail: str, message: str
) -> None:
    _, before = ask(worker, tmp_path, "before")
    with pytest.raises(ToolError, match=message):
        ask(worker, tmp_path, "failing", fail=fail)
    _, after = ask(worker, tmp_path, "after")
    assert before.read_text() != after.read_text()


def test_progress_shows_the_end_of_the_jobs_log(worker: ToolWorker, tmp_path: Path) -> None:
    seen: list[str] = []
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"words": "slow", "seconds": 0.5, "out": str(tmp_path / "out")}))
    with (tmp_path / "lock").open("ab") as lock:
        worker.run(
            ECHO,
            request,
            log=tmp_path / "log",
            lock_fd=lock.fileno(),
            on_progress=lambda tail, _: seen.append(tail),
        )
    assert "progress: slow\n" in seen


def test_the_process_ends_with_the_worker_and_where_another_tool_is_next(tmp_path: Path) -> None:
    with ToolWorker() as worker:
        _, out = ask(worker, tmp_path, "first")
        worker.release(keep=ECHO.module)
        os.kill(int(out.read_text()), 0)
        worker.release(keep=None)
        with pytest.raises(ProcessLookupError):
            os.kill(int(out.read_text()), 0)


def test_the_tool_holds_the_jobs_lock_and_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "from tests.quantize import test_tool_worker as t; from pathlib import Path; import sys\n"
        "t.tool_worker.environment_python = lambda _: Path(sys.executable)\n"
        "from quantize.jobs.workbench import locked\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "with t.ToolWorker() as worker, locked(folder / 'artifact', print) as fd:\n"
        "    request = folder / 'r.json'\n"
        '    request.write_text(\'{"words": "w", "seconds": 60, "out": "none"}\')\n'
        "    worker.run(t.ECHO, request, log=folder / 'log', lock_fd=fd)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as parent:
        log = tmp_path / "log"
        deadline = time.monotonic() + 20
        while not (log.exists() and "progress" in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        parent.kill()
    started = time.monotonic()
    with locked(tmp_path / "artifact", lambda: None):
        assert time.monotonic() - started < 10
