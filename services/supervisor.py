"""The life of one engine: brought up, proven, watched, restarted, given up.

``starting`` -> ``ready`` -> ``stopping``; an engine that dies goes back to ``starting`` after a
pause, and one that cannot start, or keeps dying, ends in ``failed`` with the reason.
"""

import asyncio
import enum
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from quantize.artifact_check import check_artifact
from quantize.end_tokens import end_tokens
from quantize.log_tail import log_tail
from quantize.manifest import ArtifactError, Manifest
from services.child import EngineChild, EngineError
from services.engines.spec import HeldWeights, Launch
from services.errors import RequestError
from services.proof import prove_weights
from services.self_test import SelfTest
from services.variants import Variant

MAX_RESTARTS = 3
MAX_FAILED_STARTS = 2
STABLE_S = 60.0
logger = logging.getLogger("ray.serve")


class State(enum.StrEnum):
    """Where a variant stands."""

    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    STOPPING = "stopping"


@dataclass(frozen=True, kw_only=True)
class ReplicaSettings:
    """What a replica needs to know; paths as strings, sizes per variant."""

    variant: str
    artifact: str
    python: str
    log: str
    engine_version: str
    context_length: int
    max_sequences: int
    queue_length: int
    threads: int
    kv_cache_gib: float
    start_timeout_s: float
    request_timeout_s: float


@dataclass(kw_only=True)
class Status:
    """What is known of the engine that runs now (or of why none does)."""

    state: State = State.STARTING
    reason: str | None = None
    manifest: Manifest | None = None
    held: HeldWeights | None = None
    capabilities: dict[str, str | None] = field(default_factory=dict)
    start_s: float | None = None


def restart_pause_s(restarts: int, *, was_ready: bool) -> float | None:
    """Seconds to wait before the given restart (1 is the first); None: give up.

    An engine that never came up gets one more chance (its port may have been taken), one that
    served before gets three.
    """
    most = MAX_RESTARTS if was_ready else MAX_FAILED_STARTS - 1
    return None if restarts > most else float(2 ** (restarts - 1))


class Supervisor:
    """Keeps one engine process running. ``check`` proves the artifact before each start."""

    def __init__(
        self,
        variant: Variant,
        settings: ReplicaSettings,
        *,
        check: Callable[[Path], Manifest] = check_artifact,
    ) -> None:
        self.variant = variant
        self.settings = settings
        self.status = Status()
        self.restarts = 0
        self._check = check
        self._child: EngineChild | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, session: aiohttp.ClientSession) -> None:
        """Begin to bring the engine up; returns at once."""
        self._task = asyncio.create_task(self._supervise(session))
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop the engine and everything it started."""
        self.status.state = State.STOPPING
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Tell an error of our own, which would else leave the variant "starting" for ever."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(f"its supervisor broke off: {error!r}")

    def ready_child(self) -> EngineChild:
        """The engine, when it can take requests.

        Raises:
            RequestError: 503 with the state and the reason.
        """
        if self.status.state is not State.READY or self._child is None:
            reason = f": {self.status.reason}" if self.status.reason else ""
            raise RequestError(503, f"{self.variant.name} is {self.status.state}{reason}")
        return self._child

    async def _supervise(self, session: aiohttp.ClientSession) -> None:
        was_ready = False
        while True:
            ready_at: float | None = None
            try:
                await self._bring_up(session)
                ready_at, was_ready = time.monotonic(), True
                reason = await self._until_exit()
            except ArtifactError as error:
                return self._fail(str(error))
            except (EngineError, aiohttp.ClientError, TimeoutError, OSError) as error:
                reason = str(error) or type(error).__name__
            finally:
                if self._child is not None:
                    await asyncio.to_thread(self._child.stop)
            if ready_at is not None and time.monotonic() - ready_at > STABLE_S:
                self.restarts = 0
            self.restarts += 1
            pause = restart_pause_s(self.restarts, was_ready=was_ready)
            if pause is None:
                return self._fail(reason)
            logger.warning("%s: restarting in %.0f s: %s", self.variant.name, pause, reason)
            self.status = Status(reason=reason)
            await asyncio.sleep(pause)

    def _fail(self, reason: str) -> None:
        logger.error("%s: failed: %s", self.variant.name, reason)
        self.status = Status(state=State.FAILED, reason=reason)

    async def _bring_up(self, session: aiohttp.ClientSession) -> None:
        """Check the artifact, start the engine, prove what it holds and what it can do."""
        started = time.monotonic()
        manifest = await asyncio.to_thread(self._check, Path(self.settings.artifact))
        engine, name = self.variant.engine, self.variant.name
        child = EngineChild(spec=engine, launch=self._launch(manifest), log=Path(self.settings.log))
        self._child = child
        child.spawn()
        await child.wait_ready(session, self.settings.start_timeout_s)
        held = await child.held_weights(session)
        if held is not None:
            prove_weights(engine, manifest, held)
        ends = end_tokens(Path(self.settings.artifact))
        test = SelfTest(session, child.base_url, child.headers, name, end_tokens=ends)
        capabilities = await test.run(engine.claims)
        for claim, failure in capabilities.items():
            if failure is not None:
                logger.warning("%s: the claim %s failed: %s", name, claim, failure)
        self.status = Status(
            state=State.READY,
            manifest=manifest,
            held=held,
            capabilities=capabilities,
            start_s=time.monotonic() - started,
        )

    def _launch(self, manifest: Manifest) -> Launch:
        settings = self.settings
        return Launch(
            python=Path(settings.python),
            artifact=Path(settings.artifact),
            manifest=manifest,
            served_name=self.variant.name,
            port=0,
            api_key="",
            context_length=settings.context_length,
            max_sequences=settings.max_sequences,
            threads=settings.threads,
            kv_cache_gib=settings.kv_cache_gib,
            kv_cache_dtype=self.variant.kv_cache,
            engine_build=self.variant.engine_build,
            scratch=Path(settings.log).with_suffix(""),
        )

    async def _until_exit(self) -> str:
        """Wait for the engine's end, and mark the variant dead at once; returns the reason."""
        assert self._child is not None
        assert self._child.process is not None
        code = await asyncio.to_thread(self._child.process.wait)
        reason = f"the engine exited with code {code}; the end of its log:\n"
        reason += log_tail(self._child.log)
        self.status = Status(reason=reason)
        return reason

    async def describe(self) -> dict[str, Any]:
        """State, proof and memory, as ``/<variant>/healthz`` shows them."""
        status, manifest, child = self.status, self.status.manifest, self._child
        memory = None
        if status.state is State.READY and child is not None:
            memory = await asyncio.to_thread(child.memory_bytes)
        return {
            "variant": self.variant.name,
            "recipe": self.variant.recipe.name,
            "engine": self.variant.engine.name,
            "emulated": self.variant.engine.emulated,
            "engine_version": self.settings.engine_version,
            "state": status.state,
            "reason": status.reason,
            "restarts": self.restarts,
            "start_s": status.start_s,
            "artifact_sha256": manifest.content_sha256 if manifest else None,
            "bits_per_weight": manifest.bits_per_weight if manifest else None,
            "held_weight_bytes": status.held.weight_bytes if status.held else None,
            "held_weight_kinds": dict(status.held.kinds) if status.held else {},
            "memory_bytes": memory,
            "capabilities": sorted(c for c, failure in status.capabilities.items() if not failure),
            "failed_claims": {c: why for c, why in status.capabilities.items() if why},
        }
