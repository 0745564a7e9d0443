"""A tool's process that stays for several jobs, because importing a tool can cost more than a job.

The process reads one request after the other from a socket; with each come the file descriptors of
the job's log and of its lock, so that every job keeps a log of its own, and a lock outlives this
process until the tool is gone as well. The tool's side is tool_server.py.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from quantize.jobs.log_tail import log_text
from quantize.jobs.tool_process import (
    Usage,
    die_with_parent,
    environment_python,
    failure,
    tool_environment,
)
from quantize.root import ROOT

_POLL_S = 0.1
_REPLY_BYTES = 4096
_GOODBYE_S = 10


@dataclass(frozen=True, kw_only=True)
class ToolModule:
    """A module that serves requests (``python -m module``) in an environment."""

    module: str
    environment: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class _Running:
    tool: ToolModule
    process: subprocess.Popen[bytes]
    channel: socket.socket


class ToolWorker:
    """At most one tool process, started when a job first needs it; a context manager.

    Blocks while a job runs. A job that fails takes its process with it: the next one starts anew.
    """

    def __init__(self) -> None:
        self._running: _Running | None = None

    def run(
        self,
        tool: ToolModule,
        request: Path,
        *,
        log: Path,
        lock_fd: int,
        env: Mapping[str, str] | None = None,
        on_progress: Callable[[str, float], None] | None = None,
    ) -> Usage:
        """Let ``tool`` carry out the request in a file; returns its time and peak memory.

        ``env`` counts where this job starts the process. The peak is this job's own.

        Raises:
            ToolError: the environment is missing, or the tool failed; the message quotes its log.
        """
        started = time.monotonic()
        try:
            running = self._started(tool, log, env or {})
            with log.open("ab") as stream:
                # A process that is gone already shows itself where the reply is awaited.
                _send(running.channel, request, [stream.fileno(), lock_fd])
            reply = self._reply(running, log, started, on_progress)
        except BaseException:
            self._kill()
            raise
        seconds = time.monotonic() - started
        return Usage(seconds=seconds, peak_memory_bytes=int(reply["peak_memory_bytes"]))

    def release(self, keep: str | None = None) -> None:
        """End the process, unless it is the one that serves the module ``keep``."""
        running = self._running
        if running is None or running.tool.module == keep:
            return
        running.channel.close()
        try:
            running.process.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()
        self._running = None

    def _started(self, tool: ToolModule, log: Path, env: Mapping[str, str]) -> _Running:
        if self._running is not None and self._running.tool == tool:
            return self._running
        self.release()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with log.open("ab") as stream:
                process = subprocess.Popen(
                    [environment_python(tool.environment), "-m", tool.module, str(theirs.fileno())],
                    cwd=ROOT,
                    env=tool_environment(tool.threads, env),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    pass_fds=[theirs.fileno()],
                    preexec_fn=die_with_parent,
                )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._running = _Running(tool=tool, process=process, channel=ours)
        return self._running

    def _reply(
        self,
        running: _Running,
        log: Path,
        started: float,
        on_progress: Callable[[str, float], None] | None,
    ) -> dict[str, int]:
        running.channel.settimeout(_POLL_S)
        while True:
            try:
                message = running.channel.recv(_REPLY_BYTES)
            except TimeoutError:
                if on_progress is not None:
                    on_progress(log_text(log), time.monotonic() - started)
                continue
            except ConnectionError:
                message = b""
            if message:
                reply: dict[str, int] = json.loads(message)
                return reply
            raise failure(running.process.wait(), log)

    def _kill(self) -> None:
        if self._running is not None:
            self._running.process.kill()
            self._running.process.wait()
            self._running.channel.close()
            self._running = None

    def __enter__(self) -> "ToolWorker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process: at once after an error, else as it likes."""
        if error is None:
            self.release()
        else:
            self._kill()


def _send(channel: socket.socket, request: Path, descriptors: list[int]) -> None:
    try:
        socket.send_fds(channel, [os.fsencode(request)], descriptors)
    except ConnectionError:
        return
