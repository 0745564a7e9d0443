"""The tool's side of tool_worker.py: carry out one request after the other, then end.

Runs in the tool's environment; imports nothing but the standard library.
"""

import contextlib
import gc
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MESSAGE_BYTES = 4096


class BadRequest(ValueError):
    """What was asked for cannot be done; the message says what to change."""


def serve(carry_out: Callable[[dict[str, Any]], None]) -> None:
    """Carry out the requests that arrive on the socket whose descriptor is the first argument.

    Everything printed goes to the log of the request at hand. An error ends the process: with 2
    and one line where it is a BadRequest, else with 1 and a traceback.
    """
    channel = socket.socket(fileno=int(sys.argv[1]))
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 2)
        if not message:
            return
        log, lock = descriptors
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        _forget_peak()
        _carry_out(carry_out, Path(os.fsdecode(message)))
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
        os.close(lock)
        channel.send(json.dumps({"peak_memory_bytes": _peak_bytes()}).encode())


def _carry_out(carry_out: Callable[[dict[str, Any]], None], request: Path) -> None:
    try:
        carry_out(json.loads(request.read_text()))
    except BadRequest as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(2)
    except Exception:  # noqa: BLE001 - whatever a tool raises ends its process
        traceback.print_exc()
        sys.stderr.flush()
        sys.exit(1)


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
