"""One process of an environment carries out several jobs and tells how each ended.

covers: quantize/jobs/job_module.py
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from quantize.jobs.failure import RefusedError, ToolError
from quantize.jobs.job_module import Progress
from quantize.jobs.lifeline import start_time
from quantize.jobs.workbench import locked
from quantize.jobs.worker import Done, Worker, run_job
from quantize.root import ROOT
from tests.quantize.jobs.echo_request import ECHO, EchoReply, EchoRequest
from tests.quantize.jobs.processes import numbers_in, wait_until_gone

# An owner that asks a job which sleeps, and tells the pids of the job's process and grandchild.
OWNER = """
import os, sys
from pathlib import Path
from quantize.jobs.workbench import locked
from quantize.jobs.worker import Worker
from tests.quantize.jobs.echo_request import ECHO, EchoReply, EchoRequest

folder = Path(sys.argv[1])

def told(said):
    if isinstance(said, EchoReply):
        (folder / "pids").write_text(f"{said.pid} {os.getpid()}")

with Worker() as worker, locked(folder / "artifact", lambda: None) as lock:
    asked = EchoRequest(words="slow", seconds=300, grandchild=True)
    worker.ask(ECHO, asked, log=folder / "log", variables=os.environ, held=[lock], told=told)
"""


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as held:
        yield held


def ask(worker: Worker, folder: Path, request: EchoRequest) -> Done[EchoReply]:
    log = folder / f"{request.words}.log"
    return worker.ask(ECHO, request, log=log, variables=os.environ)


def test_one_process_carries_out_several_jobs_each_with_its_own_log(
    worker: Worker, tmp_path: Path
) -> None:
    first, second = (
        ask(worker, tmp_path, EchoRequest(words=name)).reply for name in ("first", "second")
    )
    assert first == second
    assert first.folder == ROOT
    assert (tmp_path / "first.log").read_text() == "printed first\n"
    assert (tmp_path / "second.log").read_text() == "printed second\n"


def test_other_variables_get_another_process(worker: Worker, tmp_path: Path) -> None:
    first = ask(worker, tmp_path, EchoRequest(words="first")).reply
    log, variables = tmp_path / "log", {**os.environ, "OMP_NUM_THREADS": "1"}
    other = worker.ask(ECHO, EchoRequest(words="second"), log=log, variables=variables).reply
    assert first.pid != other.pid


def test_time_and_peak_memory_are_those_of_the_job(worker: Worker, tmp_path: Path) -> None:
    large = ask(worker, tmp_path, EchoRequest(words="large", memory_bytes=300_000_000, seconds=0.3))
    small = ask(worker, tmp_path, EchoRequest(words="small"))
    assert small.usage.peak_memory_bytes < 200e6
    assert 300e6 < large.usage.peak_memory_bytes < 500e6
    assert small.usage.seconds < 0.3 <= large.usage.seconds


@pytest.mark.parametrize(
    ("request_", "kind", "message"),
    [
        (
            EchoRequest(words="failing", fail="input"),
            RefusedError,
            r"exit code 2: the text is too short \(log: .*failing\.log\)",
        ),
        (
            EchoRequest(words="failing", fail="tool"),
            ToolError,
            r"exit code 1: RuntimeError: no such layer",
        ),
        (EchoRequest(words="failing", fail="killed"), ToolError, r"killed \(out of memory\?\)"),
    ],
)
def test_a_failure_is_told_and_the_next_job_gets_a_new_process(
    worker: Worker, tmp_path: Path, request_: EchoRequest, kind: type[ToolError], message: str
) -> None:
    before = ask(worker, tmp_path, EchoRequest(words="before")).reply
    with pytest.raises(ToolError, match=message) as raised:
        ask(worker, tmp_path, request_)
    assert type(raised.value) is kind
    after = ask(worker, tmp_path, EchoRequest(words="after")).reply
    assert before.pid != after.pid


def test_a_refusal_is_known_by_its_words_alone(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as raised:
        ask(worker, tmp_path, EchoRequest(words="asked", fail="input"))
    assert raised.value.words == "the text is too short"


def test_a_module_that_cannot_start_is_told_in_its_own_words(tmp_path: Path) -> None:
    variables = {**os.environ, "PYTHONHOME": str(tmp_path)}
    with pytest.raises(ToolError, match="encodings"):
        run_job(ECHO, EchoRequest(words="x"), log=tmp_path / "log", variables=variables)


def test_progress_is_typed_and_silence_is_told_as_well(worker: Worker, tmp_path: Path) -> None:
    said: list[Progress | EchoReply | None] = []
    request = EchoRequest(words="calibrating", seconds=0.5)
    worker.ask(ECHO, request, log=tmp_path / "log", variables=os.environ, told=said.append)
    assert [item for item in said if item is not None] == [Progress("calibrating", 1, 2)]
    assert said[-1] is None


def test_a_message_of_any_size_goes_through(worker: Worker, tmp_path: Path) -> None:
    request = EchoRequest(words="a" * 3_000_000)
    said: list[Progress | EchoReply | None] = []
    worker.ask(ECHO, request, log=tmp_path / "log", variables=os.environ, told=said.append)
    (progress,) = (item for item in said if isinstance(item, Progress))
    assert progress.doing == request.words


def test_the_process_ends_with_the_worker_and_where_another_tool_is_next(tmp_path: Path) -> None:
    with Worker() as worker:
        pid = ask(worker, tmp_path, EchoRequest(words="first")).reply.pid
        worker.release(keep=ECHO.module)
        assert start_time(pid) is not None
        worker.release(keep=None)
        assert start_time(pid) is None


def test_a_job_that_nobody_listens_to_any_more_is_stopped(worker: Worker, tmp_path: Path) -> None:
    request = EchoRequest(words="slow", seconds=300, grandchild=True)
    hearing = worker.hear(ECHO, request, log=tmp_path / "log", variables=os.environ)
    child = next(said for said in hearing if isinstance(said, EchoReply))
    hearing.close()
    assert wait_until_gone([child.pid])


def test_an_interrupt_stops_the_job_and_its_children(worker: Worker, tmp_path: Path) -> None:
    pids = []

    def interrupt(said: Progress | EchoReply | None) -> None:
        if isinstance(said, EchoReply):
            pids.append(said.pid)
            raise KeyboardInterrupt

    request = EchoRequest(words="slow", seconds=300, grandchild=True)
    with pytest.raises(KeyboardInterrupt):
        worker.ask(ECHO, request, log=tmp_path / "log", variables=os.environ, told=interrupt)
    assert wait_until_gone(pids)


def test_a_killed_owner_leaves_nothing_and_its_lock_is_held_until_then(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], cwd=ROOT) as owner:
        grandchild, told_owner = numbers_in(tmp_path / "pids", 2)
        assert told_owner == owner.pid
        owner.kill()
    started = time.monotonic()
    with locked(tmp_path / "artifact", lambda: None):
        assert time.monotonic() - started < 10
        # Whoever holds the lock may remove what the job was writing.
        assert start_time(grandchild) is None or wait_until_gone([grandchild], 1)


def test_a_missing_environment_says_what_to_do(tmp_path: Path) -> None:
    job = replace(ECHO, environment="nowhere")
    with pytest.raises(ToolError, match=r"'nowhere' is missing.*make setup"):
        run_job(job, EchoRequest(words="x"), log=tmp_path / "log", variables=os.environ)
