"""The record of the running service, and the sweep that stops exactly what belongs to it."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deploy import service
from deploy.service import MARK, ServiceRecord, read_record, stop, sweep, write_record
from quantize.jobs.lifeline import start_time


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(service, "RUN_DIR", tmp_path / "run")
    monkeypatch.setattr(service, "RECORD", tmp_path / "run" / "service.json")
    return tmp_path


def record_of(pid: int, folder: Path) -> ServiceRecord:
    born = start_time(pid)
    assert born is not None
    return ServiceRecord(
        deployment="deployment-under-test",
        host_pid=pid,
        host_started=born,
        url="http://127.0.0.1:1",
        plan="small",
        fingerprint="f",
        variants=("bf16-vllm",),
        ray_folder=str(folder / "ray"),
    )


def start(*command: str, mark: str | None = "deployment-under-test") -> subprocess.Popen[bytes]:
    variables = {key: value for key, value in os.environ.items() if key != MARK}
    return subprocess.Popen(command, env=variables | ({MARK: mark} if mark else {}))


def test_a_record_comes_back_as_it_was_written(folder: Path) -> None:
    record = record_of(os.getpid(), folder)
    write_record(record)
    assert read_record() == record
    assert record.is_alive()
    assert not replace(record, host_started=record.host_started + 1).is_alive()


def test_a_damaged_or_missing_record_is_none() -> None:
    assert read_record() is None
    service.RUN_DIR.mkdir()
    service.RECORD.write_text('{"deployment": "x"}')
    assert read_record() is None


def test_the_sweep_stops_marked_processes_and_no_others(folder: Path) -> None:
    ours, other = start("sleep", "300"), start("sleep", "300", mark="somebody-elses")
    try:
        assert sweep("deployment-under-test", str(folder / "ray")) == 1
        assert start_time(ours.pid) is None
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_the_sweep_finds_a_process_that_hides_its_mark_by_the_files_it_holds(folder: Path) -> None:
    (folder / "ray").mkdir()
    log = str(folder / "ray" / "agent.log")
    script = f"import time; f = open({log!r}, 'w'); print(1, flush=True); time.sleep(300)"
    agent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    with agent:
        assert agent.stdout is not None
        agent.stdout.readline()
        assert sweep("deployment-under-test", str(folder / "ray")) == 1
        assert start_time(agent.pid) is None
    assert not (folder / "ray").exists()


def test_two_sweeps_at_once_do_not_take_each_other_for_the_deployment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ray" / "logs").mkdir(parents=True)
    remove, seen = shutil.rmtree, []

    def watched(path: str, ignore_errors: bool) -> None:
        inside = os.open(f"{path}/logs", os.O_RDONLY)
        mine = psutil.Process()
        seen.append(service.belongs(mine, "deployment-under-test", str(folder / "ray")))
        os.close(inside)
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", watched)
    sweep("deployment-under-test", str(folder / "ray"))
    assert seen == [False]
    assert list(folder.iterdir()) == []


def test_stopping_asks_the_host_and_removes_the_record(folder: Path) -> None:
    host = start("sleep", "300")
    record = record_of(host.pid, folder)
    write_record(record)
    stop(record)
    assert host.wait(timeout=10) != 0
    assert read_record() is None


def test_a_guest_whose_cluster_is_gone_is_cleared_away_without_it(folder: Path) -> None:
    host = start("sleep", "300")
    record = replace(record_of(host.pid, folder), ray_address="127.0.0.1:1")
    host.kill()
    host.wait()
    write_record(record)
    stop(record)
    assert read_record() is None
