"""An engine outside Ray: started, proven, asked and stopped, for as long as a block lasts."""

import asyncio
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import psutil

from quantize.artifact.manifest import Manifest
from quantize.artifact_check import check_artifact
from quantize.jobs.lifeline import guarded
from services.engine.child import LOG_MARK, EarlyExitError, EngineChild, EngineError
from services.engine.engine_log import EngineLog
from services.engine.engine_settings import EngineSettings, launch_of
from services.engine.life_cycle import MOST_FAILED_STARTS
from services.engine.proof import until_proven
from services.engines.spec import HeldWeights
from services.variants import Variant


@dataclass(frozen=True, kw_only=True)
class RunningEngine:
    """A variant's engine that is ready: where it listens, what it wants and what it holds.

    ``held`` is None where the engine cannot tell; ``process`` is its server's own, for signals.
    """

    variant: Variant
    manifest: Manifest
    port: int
    key: str
    held: HeldWeights | None
    process: psutil.Process

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def model(self) -> str:
        """What requests call the model."""
        return self.variant.name

    @property
    def headers(self) -> Mapping[str, str]:
        """The key as every request must carry it."""
        return {"authorization": f"Bearer {self.key}"}


@contextmanager
def running(
    variant: Variant,
    settings: EngineSettings,
    *,
    check: Callable[[Path], Manifest] = check_artifact,
) -> Iterator[RunningEngine]:
    """A variant's engine, ready and proven; nothing of it is left after the block.

    Nor is anything where we are killed in the block: the engine runs under a guard. ``check``
    proves the artifact before the start. Blocks for the start, and calls ``asyncio.run`` for it:
    not for a coroutine. What the block itself raises because the engine does not answer gets the
    end of the engine's log.

    Raises:
        ArtifactError: the artifact, or what the engine holds of it, is not what its manifest says.
        EngineError: the engine does not start, or stops answering; with the end of its log.
    """
    manifest = check(Path(settings.artifact))
    with tempfile.TemporaryDirectory(prefix="assay-engine-") as folder:
        launch = launch_of(variant, settings, manifest, Path(folder) / "engine")
        log = EngineLog(Path(folder) / "engine.log")
        guard = partial(guarded, folders=[Path(folder)])
        child = EngineChild(spec=variant.engine, launch=launch, log=log, guard=guard)
        try:
            held = _start(child, settings.start_timeout_s)
            yield _running(variant, child, held)
        except (aiohttp.ClientError, TimeoutError, psutil.NoSuchProcess) as error:
            reason = f"{child.spec.title}: {error!r}"
            raise EngineError(f"{reason}{LOG_MARK}{log.tail()}") from error
        finally:
            child.stop()


def _running(variant: Variant, child: EngineChild, held: HeldWeights | None) -> RunningEngine:
    assert child.process is not None
    return RunningEngine(
        variant=variant,
        manifest=child.launch.manifest,
        port=child.launch.port,
        key=child.launch.api_key,
        held=held,
        process=_guarded_by(child.process),
    )


def _guarded_by(guard: subprocess.Popen[bytes]) -> psutil.Process:
    """What a guard runs: the engine itself, for which its signals are meant."""
    for process in psutil.Process(guard.pid).children():
        return process
    raise psutil.NoSuchProcess(guard.pid, msg="the guard's command has ended")


def _start(child: EngineChild, timeout_s: float) -> HeldWeights | None:
    """Start it, and once more where it ends early: another program may have taken its port.

    One that is not ready in time is not tried again: it would take as long a second time.
    """
    for _again in range(MOST_FAILED_STARTS - 1):
        try:
            return asyncio.run(_spawn(child, timeout_s))
        except EarlyExitError:
            child.stop()
    return asyncio.run(_spawn(child, timeout_s))


async def _spawn(child: EngineChild, timeout_s: float) -> HeldWeights | None:
    child.spawn()
    async with aiohttp.ClientSession() as session:
        return await until_proven(child, session, timeout_s)
