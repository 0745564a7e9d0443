"""The inner side of a job: carry out the requests that come, one after the other, then end.

Runs in the tool's environment; imports nothing but the standard library. The outer side is
``worker.py``; what is said is declared in a ``JobModule`` that both import.

Outward go ``["told", kind, content]``, then ``["done", reply, seconds, peak bytes]`` or
``["refused", words]``. A process that breaks instead says so by its end and in its log.
"""

import contextlib
import gc
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic

from quantize.jobs.failure import REFUSED
from quantize.jobs.job_module import JobModule, Reply, Request, Told
from quantize.jobs.wire import CHANNEL_VARIABLE, receive, send, typed


class BadRequest(ValueError):
    """What was asked for cannot be done; the message says what to change."""


class Channel(Generic[Request, Told, Reply]):
    """Our end of the channel to whoever started this process."""

    def __init__(self, job: JobModule[Request, Told, Reply]) -> None:
        self._job = job
        # What this process starts is not to think that it is the job.
        self._socket = socket.socket(fileno=int(os.environ.pop(CHANNEL_VARIABLE)))
        self._socket.set_inheritable(False)
        self._sending = threading.Lock()
        self._held: list[int] = []
        self._started = time.monotonic()

    def next(self) -> Request | None:
        """The next request, from now on with its log and its locks; None when none will come.

        Everything printed goes to the log of the request at hand.
        """
        message = receive(self._socket)
        # gevent, where it is in charge (Locust), has made writing raise instead of wait.
        os.set_blocking(self._socket.fileno(), True)
        if message is None:
            return None
        content, (log, *self._held) = message
        _flush()
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)
        _forget_peak()
        self._started = time.monotonic()
        return typed(self._job.request, content)

    def tell(self, message: Told) -> None:
        """Say something on the way; any thread may."""
        self._send(["told", type(message).__name__, message])

    def answer(self, reply: Reply) -> None:
        """Say that the request is carried out, and give its locks back."""
        _flush()
        for lock in self._held:
            os.close(lock)
        self._send(["done", reply, time.monotonic() - self._started, _peak_bytes()])

    def refuse(self, why: str) -> None:
        """Say that the request cannot be carried out."""
        self._send(["refused", why])

    def _send(self, message: list[Any]) -> None:
        # Nobody listens any more: the guard is about to end this process.
        with contextlib.suppress(ConnectionError), self._sending:
            send(self._socket, message)


def serve(
    job: JobModule[Request, Told, Reply],
    carry_out: Callable[[Request, Callable[[Told], None]], Reply],
) -> None:
    """Carry out every request that comes; ``carry_out`` gets it and what tells progress.

    An error ends the process: with 2 where it is a BadRequest, else with 1 and a traceback.
    """
    channel = Channel(job)
    while (request := channel.next()) is not None:
        try:
            reply = carry_out(request, channel.tell)
        except BadRequest as error:
            print(error, file=sys.stderr, flush=True)
            channel.refuse(str(error))
            sys.exit(REFUSED)
        except Exception:  # noqa: BLE001 - whatever a tool raises ends its process
            traceback.print_exc()
            sys.exit(1)
        del request
        gc.collect()
        channel.answer(reply)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _forget_peak() -> None:
    """Start the peak of resident memory anew (proc(5), clear_refs).

    Where the kernel does not let us, a job's peak is that of all jobs so far.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
