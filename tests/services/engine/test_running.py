"""An engine outside Ray lasts as long as its block, and what goes wrong comes with its log."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError

import aiohttp
import psutil
import pytest

from quantize.artifact.manifest import ArtifactError
from quantize.recipes.catalogue import RECIPES
from quantize.root import ROOT
from services.engine.child import EngineError
from services.engine.engine_settings import EngineSettings
from services.engine.running import RunningEngine, running
from services.engines.spec import Launch
from services.variants import Variant
from tests.quantize.jobs.processes import wait_until_gone
from tests.services.engine.test_child import spec
from tests.services.test_variants import MANIFEST

SETTINGS = EngineSettings(
    artifact="artifact",
    python="python",
    context_length=512,
    max_sequences=2,
    threads=1,
    kv_cache_gib=1,
    start_timeout_s=30,
)

# An owner whose engine does not hear SIGTERM: it tells its pid and its guard's.
OWNER = """
import signal, time
from tests.services.engine.test_running import started
with started() as engine:
    engine.process.send_signal(signal.SIGSTOP)
    print(engine.process.pid, engine.process.ppid(), flush=True)
    time.sleep(300)
"""


@contextmanager
def started(*options: str) -> Iterator[RunningEngine]:
    variant = Variant(name="some-variant", recipe=RECIPES["bf16"], engine=spec(*options))
    with running(variant, SETTINGS, check=lambda _artifact: MANIFEST) as engine:
        yield engine


def test_an_engine_is_ready_and_proven_in_its_block_and_gone_after_it() -> None:
    with started() as engine:
        request = urllib.request.Request(f"{engine.url}/v1/models", headers=dict(engine.headers))
        with urllib.request.urlopen(request) as answer:
            assert engine.model.encode() in answer.read()
        with pytest.raises(HTTPError, match="401"):
            urllib.request.urlopen(f"{engine.url}/v1/models")
        assert engine.held is not None
        assert engine.manifest is MANIFEST
        assert engine.process.is_running()
    assert not engine.process.is_running()


def test_a_signal_reaches_the_engine_itself_and_not_its_guard() -> None:
    with started() as engine:
        assert "tests.fake_engine" in engine.process.cmdline()
        engine.process.send_signal(signal.SIGSTOP)
        guard = psutil.Process(engine.process.ppid())
        deadline = time.monotonic() + 20
        while engine.process.status() != psutil.STATUS_STOPPED and time.monotonic() < deadline:
            time.sleep(0.01)
        assert engine.process.status() == psutil.STATUS_STOPPED
        assert guard.status() != psutil.STATUS_STOPPED
        engine.process.send_signal(signal.SIGCONT)


def test_a_killed_owner_leaves_no_stopped_engine_and_no_folder_behind(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        there = list(tmp_path.glob("assay-engine-*"))
        owner.kill()
    assert len(pids) == 2
    assert len(there) == 1
    assert wait_until_gone(pids)
    assert not list(tmp_path.glob("assay-engine-*"))


@pytest.mark.parametrize(("option", "times"), [("--never-ready", 1), ("--die-after=0", 2)])
def test_only_an_engine_that_ended_early_is_started_again(option: str, times: int) -> None:
    starts = []

    def argv(given: Launch) -> list[str]:
        starts.append(given.port)
        return spec(option).argv(given)

    variant = Variant(
        name="some-variant", recipe=RECIPES["bf16"], engine=replace(spec(), argv=argv)
    )
    patience_s = 2 if option == "--never-ready" else SETTINGS.start_timeout_s
    settings = replace(SETTINGS, start_timeout_s=patience_s)
    with (
        pytest.raises(EngineError),
        running(variant, settings, check=lambda _artifact: MANIFEST),
    ):
        pass
    assert len(starts) == times


def test_an_engine_that_dies_while_starting_is_told_with_its_log() -> None:
    with pytest.raises(EngineError, match="fake engine is up"), started("--die-after", "0"):
        pass


def test_an_engine_that_holds_other_weights_never_reaches_the_block() -> None:
    reached = []
    with pytest.raises(ArtifactError, match="does not serve"), started("--weights", "[1, 2]"):
        reached.append(True)
    assert not reached


def test_an_engine_that_stops_answering_is_told_with_its_log() -> None:
    with pytest.raises(EngineError, match=r"(?s)Fake: .*refused.*fake engine is up"), started():
        raise aiohttp.ClientConnectionError("refused")


def test_a_failure_of_another_kind_passes_and_ends_the_engine() -> None:
    seen: list[RunningEngine] = []

    def fail() -> None:
        with started() as engine:
            seen.append(engine)
            raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        fail()
    assert not seen[0].process.is_running()


def test_the_artifact_is_checked_before_anything_starts(tmp_path: Path) -> None:
    variant = Variant(name="some-variant", recipe=RECIPES["bf16"], engine=spec())
    with (
        pytest.raises(ArtifactError, match="no finished artifact"),
        running(variant, EngineSettings(**{**vars(SETTINGS), "artifact": str(tmp_path)})),
    ):
        pass
