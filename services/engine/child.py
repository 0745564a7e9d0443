"""One engine process: started, proven ready, watched and stopped.

The child gets an ephemeral loopback port and a random key, so that a stale engine on a reused
port can never be taken for it. It stays in its parent's process group: when a Ray worker is
killed, Ray's process-group clean-up takes the engine along (``RAY_…_process_group_cleanup``).
Outside Ray nothing does, and it is started under a guard (``quantize/jobs/lifeline.py``).
"""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import psutil

from quantize.jobs.surroundings import cleaned, somebody
from quantize.root import ROOT
from services.engine.engine_log import EngineLog
from services.engine.process_tree import is_running, tree_memory_bytes
from services.engines.spec import EngineSpec, HeldWeights, Launch
from services.gpus.engine_gpu import EngineGpu, engine_gpus
from services.gpus.nvml import read_gpus

READY_POLL_S = 0.1
STOP_GRACE_S = 10.0
KILL_ATTEMPTS = 5
# Where the machine runs out of memory, an engine goes before Ray and what else runs there.
OOM_SCORE = "500"
# What parts an engine's failure from the end of its log in a message.
LOG_MARK = "; the end of its log:\n"
# In the environment of the engine and all it starts; its value is the start's own random key.
MARK = "ASSAY_ENGINE"


class EngineError(RuntimeError):
    """An engine that did not start, or is not what its artifact says."""


class EarlyExitError(EngineError):
    """An engine that ended before it was ready: another program may have taken its port."""


def free_port() -> int:
    """A loopback port nobody listens on right now (a race is met by retrying the start)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class EngineChild:
    """An engine's OpenAI server as a child process of this one.

    ``guard`` is how its command is put under a guard, which then is the ``process``, alone in a
    session of its own; without one that is the server itself.
    """

    spec: EngineSpec
    launch: Launch
    log: EngineLog
    guard: Callable[[Sequence[str]], list[str]] | None = None
    process: subprocess.Popen[bytes] | None = None
    _descendants: dict[int, psutil.Process] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Where the engine listens."""
        return f"http://127.0.0.1:{self.launch.port}"

    @property
    def headers(self) -> dict[str, str]:
        """The key every request to the engine must carry."""
        return {"authorization": f"Bearer {self.launch.api_key}"}

    def spawn(self) -> None:
        """Start the process on a fresh port with a fresh key; its output goes to the log."""
        self.launch = replace(self.launch, port=free_port(), api_key=secrets.token_urlsafe(24))
        kept = cleaned(os.environ, self.spec.variables)
        kept |= somebody(kept, self.launch.scratch)
        mark = {"PYTHONPATH": str(ROOT), MARK: self.launch.api_key}
        variables = {**kept, **mark, **self.spec.env(self.launch)}
        self._write_files()
        command = self.spec.argv(self.launch)
        with self.log.open() as stream:
            self.process = subprocess.Popen(
                command if self.guard is None else self.guard(command),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=variables,
                start_new_session=self.guard is not None,
            )
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.process.pid}/oom_score_adj").write_text(OOM_SCORE)

    def _write_files(self) -> None:
        """Put what the engine must find as a file into the launch's scratch directory."""
        for name, content in self.spec.files(self.launch).items():
            path = self.launch.scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if isinstance(content, Path):
                path.symlink_to(content.resolve())
            else:
                path.write_text(content)

    async def wait_ready(self, session: aiohttp.ClientSession, timeout_s: float) -> None:
        """Wait until the engine is healthy and lists our model under our key.

        Raises:
            EarlyExitError: it exited; with the end of its log.
            EngineError: it was not ready in time; with the end of its log.
        """
        assert self.process is not None
        deadline = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < deadline:
            if (code := self.process.poll()) is not None:
                raise EarlyExitError(
                    f"{self.spec.title} exited with code {code} while starting "
                    f"({self.log.path}){LOG_MARK}{self.log.tail()}"
                )
            self.note_descendants()
            if await self._answers(session):
                return
            await asyncio.sleep(READY_POLL_S)
        raise EngineError(
            f"{self.spec.title} was not ready after {timeout_s:.0f} s "
            f"(serving.start_timeout_s; {self.log.path}){LOG_MARK}{self.log.tail()}"
        )

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with session.get(
                self.base_url + self.spec.health_path, headers=self.headers, timeout=timeout
            ) as health:
                if health.status != 200:
                    return False
            async with session.get(
                f"{self.base_url}/v1/models", headers=self.headers, timeout=timeout
            ) as models:
                served = (await models.json())["data"] if models.status == 200 else []
        except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
            return False
        return self.launch.served_name in {model["id"] for model in served}

    async def held_weights(self, session: aiohttp.ClientSession) -> HeldWeights | None:
        """Ask the engine what weights it holds; None where it has no way to tell.

        Raises:
            EngineError: the engine does not answer the question.
        """
        if self.spec.weights_request is None:
            return None
        method, path, body = self.spec.weights_request
        async with session.request(
            method, self.base_url + path, data=body or None, headers=self.headers
        ) as response:
            content = await response.read()
            if response.status != 200:
                raise EngineError(
                    f"asked for its weights, {self.spec.title} "
                    f"answered {response.status}: {content[:200]!r}"
                )
        try:
            return self.spec.parse_weights(content)
        except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
            raise EngineError(
                f"asked for its weights, {self.spec.title} answered {content[:200]!r} ({error!r})"
            ) from None

    def memory_bytes(self) -> int | None:
        """Memory in use by the engine and its descendants (PSS, bytes); None where unknown."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.note_descendants()
        return tree_memory_bytes(self.process.pid)

    def gpus(self) -> list[EngineGpu]:
        """The GPUs that the engine computes on; none for one that computes on the CPU.

        Blocks for a few milliseconds for each GPU of the machine.
        """
        if self.process is None or self.launch.device == "cpu":
            return []
        self.note_descendants()
        return engine_gpus(read_gpus(), {self.process.pid, *self._descendants}, os.environ)

    def note_descendants(self) -> None:
        """Remember what the engine has started: once it is gone, nothing names its children.

        They are kept with their start times (psutil's identity), so a reused pid is never taken
        for one of them.
        """
        if self.process is None or self.process.poll() is not None:
            return  # a pid that was reaped may be somebody else's by now
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            return
        self._descendants = {**self._descendants, **{process.pid: process for process in found}}

    def cpu_s(self) -> float:
        """CPU time the engine and the descendants noted so far have used, in seconds."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        total = 0.0
        with contextlib.suppress(psutil.Error):
            for process in (psutil.Process(self.process.pid), *self._descendants.values()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    total += times.user + times.system
        return total

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """SIGTERM, then SIGKILL to whatever of its tree is left after ``grace_s`` (0: at once).

        Blocks that long. Never kills the process group: it is our parent's own. An
        engine that died by itself may have left children behind; they are ended as well, found by
        what was noted of them or by the mark in their environment.
        """
        if self.process is None:
            return
        self.note_descendants()
        if self.process.poll() is None:
            if grace_s:
                self.process.terminate()
            try:
                self.process.wait(timeout=grace_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        # Again, as one may have started another meanwhile; in the end some cannot be killed.
        for _attempt in range(KILL_ATTEMPTS):
            left = [p for p in (*self._descendants.values(), *self._marked()) if is_running(p)]
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(left, timeout=1)
            if not left:
                break
        self._descendants.clear()

    def _marked(self) -> list[psutil.Process]:
        """All processes with this child's mark; one that renames itself may write over it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == self.launch.api_key:
                    found.append(process)
        return found
