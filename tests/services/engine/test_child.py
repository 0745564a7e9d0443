"""An engine process: proven to be ours, its failures told, nothing of it left.

covers: services/engine/process_tree.py
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import aiohttp
import psutil
import pytest

from services.engine.child import EngineChild, EngineError
from services.engine.engine_log import EngineLog
from services.engine.process_tree import tree_memory_bytes
from services.engines.spec import EngineSpec, HeldWeights, Launch
from tests.services.test_variants import launch


def spec(*options: str) -> EngineSpec:
    def argv(given: Launch) -> list[str]:
        return [
            sys.executable,
            *("-m", "tests.fake_engine"),
            *options,
            "--",  # a random key may begin with a dash
            str(given.port),
            given.served_name,
            given.api_key,
        ]

    return EngineSpec(
        name="fake",
        title="Fake",
        environment="control",
        distributions=("aiohttp",),
        checkpoints={},
        argv=argv,
        env=lambda _launch: {},
        health_path="/health",
        weights_request=("GET", "/weights", b""),
        parse_weights=lambda body: HeldWeights(weight_bytes=len(json.loads(body)), kinds={}),
        expected_weight_bytes=lambda _manifest: (0, 1),
        claims=frozenset(),
    )


def child(tmp_path: Path, *options: str) -> EngineChild:
    return EngineChild(spec=spec(*options), launch=launch(), log=EngineLog(tmp_path / "engine.log"))


async def test_an_engine_is_ready_when_it_lists_our_model_under_our_key(tmp_path: Path) -> None:
    engine = child(tmp_path)
    engine.spawn()
    async with aiohttp.ClientSession() as session:
        await engine.wait_ready(session, timeout_s=30)
        held = await engine.held_weights(session)
        assert held is not None
        assert held.weight_bytes == 0
        engine.spec = replace(engine.spec, weights_request=("GET", "/no-such-route", b""))
        with pytest.raises(EngineError, match="answered 404"):
            await engine.held_weights(session)
    assert (engine.memory_bytes() or 0) > 0
    engine.stop()


async def test_a_stranger_on_the_port_is_never_taken_for_the_engine(tmp_path: Path) -> None:
    stranger, engine = child(tmp_path), child(tmp_path, "--never-ready")
    stranger.spawn()
    engine.spawn()
    engine.launch = replace(engine.launch, port=stranger.launch.port)
    async with aiohttp.ClientSession() as session:
        await stranger.wait_ready(session, timeout_s=30)
        with pytest.raises(EngineError, match="not ready after"):
            await engine.wait_ready(session, timeout_s=1)
    stranger.stop()
    engine.stop()


async def test_an_engine_that_dies_while_starting_is_told_with_its_log(tmp_path: Path) -> None:
    engine = child(tmp_path, "--never-ready", "--die-after", "0.1")
    engine.spawn()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(EngineError, match="fake engine is up"):
            await engine.wait_ready(session, timeout_s=30)
    engine.stop()


async def test_every_start_gets_a_fresh_port_and_key(tmp_path: Path) -> None:
    engine = child(tmp_path, "--die-after", "0.1")
    engine.spawn()
    first = engine.launch
    engine.stop()
    engine.spawn()
    assert engine.launch.api_key != first.api_key
    engine.stop()


def test_stopping_takes_the_engines_own_children_along(tmp_path: Path) -> None:
    script = "import subprocess, time; subprocess.Popen(['sleep', '300']); time.sleep(300)"
    engine = child(tmp_path)
    engine.spec = replace(engine.spec, argv=lambda _launch: [sys.executable, "-c", script])
    engine.spawn()
    assert engine.process is not None
    parent = psutil.Process(engine.process.pid)
    while not (children := parent.children()):
        pass
    engine.stop()
    _gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


@pytest.mark.parametrize("hides", [False, True])
def test_what_an_engine_left_when_it_died_by_itself_is_ended(tmp_path: Path, hides: bool) -> None:
    # A child that hides its mark, as one that renames itself does, was noted while its parent ran.
    mark = "env={}, " if hides else ""
    script = f"import subprocess, time; subprocess.Popen(['sleep', '300'], {mark}); time.sleep(300)"
    engine = child(tmp_path)
    engine.spec = replace(engine.spec, argv=lambda _launch: [sys.executable, "-c", script])
    engine.spawn()
    assert engine.process is not None
    parent = psutil.Process(engine.process.pid)
    while not (children := parent.children()) or children[0].name() != "sleep":
        pass
    if hides:
        engine.note_descendants()
    engine.process.kill()
    engine.process.wait()
    engine.note_descendants()
    assert all(process.is_running() for process in children)
    engine.stop()
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_a_reaped_pid_is_never_asked_or_signalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = child(tmp_path)
    engine.spec = replace(engine.spec, argv=lambda _launch: [sys.executable, "-c", ""])
    engine.spawn()
    assert engine.process is not None
    engine.process.wait()
    # The system gives the number to somebody else, with a child.
    with subprocess.Popen(["sleep", "300"]) as bystander:
        monkeypatch.setattr(engine.process, "pid", os.getpid())
        engine.stop()
        assert engine.memory_bytes() is None
        assert bystander.poll() is None
        bystander.kill()


def test_memory_that_cannot_be_read_of_every_process_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    own = os.getpid()
    refused = {parent.pid}
    read = psutil.Process.memory_full_info

    def memory_full_info(process: psutil.Process) -> object:
        if process.pid in refused:
            raise psutil.AccessDenied(process.pid)
        return read(process)

    try:
        assert (tree_memory_bytes(own) or 0) > (tree_memory_bytes(parent.pid) or 0) > 0
        monkeypatch.setattr(psutil.Process, "memory_full_info", memory_full_info)
        assert tree_memory_bytes(parent.pid) is None
        assert tree_memory_bytes(own) is None
    finally:
        parent.kill()
        parent.wait()
    assert (tree_memory_bytes(own) or 0) > 0
    assert tree_memory_bytes(parent.pid) is None


def test_an_engine_finds_nothing_of_the_users_that_would_set_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = {"FAKE_PORT": "tcp://10.0.0.1", "RAY_ADDRESS": "a", "MKL_NUM_THREADS": "64"}
    for name, value in {**shell, "HOME": "/nonexistent", "no_proxy": "corp.internal"}.items():
        monkeypatch.setenv(name, value)
    tells = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    engine = child(tmp_path)
    engine.spec = replace(engine.spec, variables=("FAKE_",), argv=lambda _launch: tells)
    engine.launch = replace(engine.launch, scratch=tmp_path)
    engine.spawn()
    assert engine.process is not None
    assert engine.process.wait(timeout=30) == 0
    found = json.loads(engine.log.tail())
    assert not shell.keys() & found.keys()
    assert found["HOME"] == str(tmp_path)
    assert found["no_proxy"] == found["NO_PROXY"] == "corp.internal,localhost,127.0.0.1,::1"
