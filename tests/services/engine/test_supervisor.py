"""The supervisor decides by what the engine does; requests are refused while there is none.

covers: services/engine/engine_watch.py, services/engine/engine_settings.py,
services/engine/proof.py
"""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from quantize.artifact.manifest import ArtifactError, Manifest
from quantize.recipes.catalogue import RECIPES
from services.engine.engine_settings import ReplicaSettings
from services.engine.life_cycle import State
from services.engine.supervisor import Supervisor
from services.engines.kernels import Judgement, Kernels
from services.engines.spec import EngineSpec, HeldWeights
from services.http.errors import RequestError
from services.variants import Variant
from tests.services.engine.test_child import spec
from tests.services.test_variants import MANIFEST


def supervisor(
    tmp_path: Path, engine: EngineSpec, error: Exception | None = None, **changes: Any
) -> Supervisor:
    def check(_artifact: Path) -> Manifest:
        if error:
            raise error
        return MANIFEST

    settings = ReplicaSettings(
        variant="some-variant",
        artifact=str(tmp_path),
        python="python",
        log=str(tmp_path / "engine.log"),
        engine_version="fake 1",
        context_length=512,
        max_sequences=2,
        queue_length=0,
        threads=1,
        kv_cache_gib=1,
        start_timeout_s=30,
        request_timeout_s=30,
    )
    settings = replace(settings, **changes)
    variant = Variant(name="some-variant", recipe=RECIPES["bf16"], engine=engine)
    return Supervisor(variant, settings, check=check)


async def until(watched: Supervisor, state: State, timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while watched.status.state is not state:
            await asyncio.sleep(0.01)


async def test_a_corrupt_artifact_fails_at_once_with_its_own_message(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, spec(), error=ArtifactError("model.safetensors was altered"))
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.FAILED)
        with pytest.raises(RequestError, match=r"failed: model\.safetensors was altered") as caught:
            watched.ready_child()
        assert caught.value.status == 503
        assert watched.restarts == 0
        await watched.stop()


def computing(kernels: Kernels | None, judgement: Judgement, *, in_log: bool) -> EngineSpec:
    """An engine that tells its kernels itself, or in its log alone."""
    told = None if in_log else kernels
    return replace(
        spec(),
        parse_weights=lambda _body: HeldWeights(weight_bytes=1, kinds={}, kernels=told),
        kernels_in_log=lambda text: kernels if in_log and "fake engine is up" in text else None,
        judge_kernels=lambda *_asked: judgement,
    )


async def test_an_engine_on_refused_kernels_fails_for_good_by_their_name(tmp_path: Path) -> None:
    refused = Judgement(refusal="vLLM serves it unquantized; run `make quantize`")
    watched = supervisor(tmp_path, computing(Kernels(device="gpu"), refused, in_log=False))
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.FAILED)
        assert watched.status.reason == f"{MANIFEST.recipe}: {refused.refusal}"
        assert watched.restarts == 0
        await watched.stop()


@pytest.mark.parametrize("in_log", [False, True])
async def test_kernels_and_their_remarks_are_told_whoever_names_them(
    tmp_path: Path, in_log: bool
) -> None:
    kernels, judged = Kernels(device="gpu", eager=True), Judgement(remarks=("eager mode",))
    watched = supervisor(tmp_path, computing(kernels, judged, in_log=in_log))
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.READY)
        told = watched.known()["kernels"]
        assert (told["eager"], told["remarks"]) == (True, ("eager mode",))
        await watched.stop()


async def test_an_engine_that_names_no_kernels_is_ready_without_them(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, computing(None, Judgement(refusal="no"), in_log=False))
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.READY)
        assert watched.known()["kernels"] is None
        await watched.stop()


async def test_an_error_of_our_own_is_told_and_leaves_no_variant_starting(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, spec(), error=MemoryError("of ours"))
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.FAILED)
        assert watched.status.reason == "its supervisor broke off: MemoryError('of ours')"
        await watched.stop()


async def test_a_killed_engine_is_refused_at_once_and_comes_back(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, spec())
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.READY)
        first = watched.ready_child().process
        assert first is not None
        first.kill()
        await until(watched, State.STARTING)
        with pytest.raises(RequestError, match="exited with code -9"):
            watched.ready_child()
        await until(watched, State.READY)
        second = watched.ready_child().process
        assert second is not None
        assert second.pid != first.pid
        assert (await watched.describe())["restarts"] == 1
        await watched.stop()
        assert second.poll() is not None


async def test_an_engine_that_never_comes_up_is_given_up_with_its_log(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, spec("--never-ready", "--die-after", "0.1"))
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.FAILED)
        assert watched.status.reason is not None
        assert "fake engine is up" in watched.status.reason
        await watched.stop()


async def test_an_engine_that_holds_other_weights_than_promised_fails(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, spec("--weights", "[1, 2, 3]"))
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.FAILED)
        assert watched.status.reason is not None
        assert "does not serve what the artifact says" in watched.status.reason
        await watched.stop()


async def test_a_crash_loop_ends_in_failed_with_the_engines_last_lines(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, spec("--die-after", "1"), crashes_before_failed=2)
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.FAILED)
        reason = watched.status.reason or ""
        assert reason.startswith("given up after 2 failures within 10 minutes")
        assert "fake engine is up" in reason
        with pytest.raises(RequestError) as caught:
            watched.ready_child()
        assert "fake engine is up" not in caught.value.message
        await watched.stop()


async def test_an_engine_that_hangs_is_replaced(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, spec(), hang_timeout_s=1.5)
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.READY)
        first = watched.ready_child().process
        assert first is not None
        os.kill(first.pid, signal.SIGSTOP)
        await until(watched, State.STARTING)
        assert "has not answered for 2 s" in (watched.status.reason or "")
        await until(watched, State.READY)
        assert first.poll() == -signal.SIGKILL
        await watched.stop()


async def test_an_engine_whose_http_server_outlives_it_is_replaced(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, spec("--never-completes"), hang_timeout_s=1.5)
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.READY)
        await asyncio.sleep(3)
        assert watched.restarts == 0
        watched.is_stalled = lambda: True
        await until(watched, State.STARTING)
        await watched.stop()


async def test_an_engine_that_outgrows_its_memory_is_replaced(tmp_path: Path) -> None:
    watched = supervisor(tmp_path, spec(), memory_gib=0.001, crashes_before_failed=1)
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.FAILED)
        assert "of the 0.001 GiB it may (memory_gib)" in (watched.status.reason or "")
        await watched.stop()


async def test_a_variant_that_drains_takes_no_more_and_is_stopped_in_the_end(
    tmp_path: Path,
) -> None:
    watched = supervisor(tmp_path, spec())
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        await until(watched, State.READY)
        process = watched.ready_child().process
        assert process is not None
        watched.drain()
        with pytest.raises(RequestError, match="some-variant is draining"):
            watched.ready_child()
        assert process.poll() is None
        await watched.stop()
        assert watched.status.state is State.STOPPED
        assert process.poll() is not None
