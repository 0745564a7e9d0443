"""The outer side of a job: ask a module of ours, in a process of its own, and hear its answer.

A process stays for the next request where it is for the same module, because importing a tool can
cost more than a job. With each request come the descriptors of its log and its locks, so that
every job keeps a log of its own, and a lock outlives this process until the tool is gone as well.
The inner side is ``job_server.py``.
"""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic

from quantize.jobs.environment import environment_python
from quantize.jobs.failure import Usage, failure, refusal
from quantize.jobs.job_module import JobModule, Reply, Request, Told
from quantize.jobs.lifeline import end, guarded
from quantize.jobs.wire import CHANNEL_VARIABLE, receive, send, typed
from quantize.root import ROOT

_POLL_MS = 100
_GOODBYE_S = 10


@dataclass(frozen=True, kw_only=True)
class Done(Generic[Reply]):
    """A job's reply, and what it cost: its own time and its own peak memory."""

    reply: Reply
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class _Running:
    job: JobModule[Any, Any, Any]
    variables: Mapping[str, str]
    process: subprocess.Popen[bytes]
    channel: socket.socket


class Worker:
    """At most one process, started when a job first needs it; a context manager.

    A job that fails takes its process with it: the next one starts anew.
    """

    def __init__(self) -> None:
        self._running: _Running | None = None

    def ask(
        self,
        job: JobModule[Request, Told, Reply],
        request: Request,
        *,
        log: Path,
        variables: Mapping[str, str],
        held: Sequence[int] = (),
        told: Callable[[Told | None], None] = lambda _: None,
    ) -> Done[Reply]:
        """Let ``job`` carry out a request; blocks until it is done.

        What the job prints is appended to ``log``; ``variables`` are its process's whole
        environment; ``held`` are descriptors of locks that it is to hold meanwhile. ``told`` gets
        what it says on the way, and None about ten times a second while it says nothing.

        Raises:
            RefusedError: the job refused the request.
            ToolError: the environment is missing, or the job failed; the message quotes its log.
        """
        hearing = self.hear(job, request, log=log, variables=variables, held=held)
        try:
            while True:
                told(next(hearing))
        except StopIteration as finished:
            done: Done[Reply] = finished.value
            return done
        finally:
            hearing.close()

    def hear(
        self,
        job: JobModule[Request, Told, Reply],
        request: Request,
        *,
        log: Path,
        variables: Mapping[str, str],
        held: Sequence[int] = (),
    ) -> Generator[Told | None, None, Done[Reply]]:
        """The same as a generator of what the job says; whoever stops listening ends the job."""
        try:
            running = self._started(job, log, variables)
            with log.open("ab") as stream:
                _send(running.channel, request, [stream.fileno(), *held])
            kinds = {kind.__name__: kind for kind in job.tells}
            while True:
                match _next(running.channel):
                    case None:
                        yield None
                    case ["told", kind, content]:
                        yield typed(kinds[kind], content)
                    case ["done", reply, seconds, peak_bytes]:
                        usage = Usage(seconds=seconds, peak_memory_bytes=peak_bytes)
                        return Done(reply=typed(job.reply, reply), usage=usage)
                    case ["refused", why]:
                        running.process.wait()
                        raise refusal(why, log)
                    case _:
                        raise failure(running.process.wait(), log)
        except BaseException:
            self._end()
            raise

    def release(self, keep: str | None = None) -> None:
        """End the process, unless it is the one that serves the module ``keep``."""
        running = self._running
        if running is None or running.job.module == keep:
            return
        running.channel.close()
        try:
            running.process.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            end(running.process)
        self._running = None

    def _started(
        self, job: JobModule[Any, Any, Any], log: Path, variables: Mapping[str, str]
    ) -> _Running:
        running = self._running
        if running is not None and (running.job, running.variables) == (job, variables):
            return running
        self.release()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _start(job, log, {**variables, CHANNEL_VARIABLE: str(theirs.fileno())})
            except BaseException:
                ours.close()
                raise
        self._running = _Running(job=job, variables=variables, process=process, channel=ours)
        return self._running

    def _end(self) -> None:
        if self._running is not None:
            self._running.channel.close()
            end(self._running.process)
            self._running = None

    def __enter__(self) -> "Worker":
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
            self._end()


def run_job(
    job: JobModule[Request, Told, Reply],
    request: Request,
    *,
    log: Path,
    variables: Mapping[str, str],
    held: Sequence[int] = (),
    told: Callable[[Told | None], None] = lambda _: None,
) -> Done[Reply]:
    """``Worker.ask`` of a process for this one request."""
    with Worker() as worker:
        return worker.ask(job, request, log=log, variables=variables, held=held, told=told)


def _start(
    job: JobModule[Any, Any, Any], log: Path, variables: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    python = environment_python(job.environment) if job.environment else Path(sys.executable)
    with log.open("ab") as stream:
        return subprocess.Popen(
            guarded([os.fspath(python), "-m", job.module, *job.words]),
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            pass_fds=[int(variables[CHANNEL_VARIABLE])],
            start_new_session=True,
        )


def _send(channel: socket.socket, request: Any, descriptors: Sequence[int]) -> None:
    try:
        send(channel, request, descriptors)
    except ConnectionError:
        # A process that is gone already shows itself where the answer is awaited.
        return


def _next(channel: socket.socket) -> list[Any] | None:
    """The next message; None where none comes for a moment, an empty one where none will."""
    waiting = select.poll()
    waiting.register(channel, select.POLLIN)
    if not waiting.poll(_POLL_MS):
        return None
    try:
        message = receive(channel)
    except ConnectionError:
        message = None
    found: list[Any] = message[0] if message else []
    return found
