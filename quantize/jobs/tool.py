"""Run a program that is not ours (llama.cpp's converter) to its end, into a log.

Modules of ours are asked by ``worker.py``. What both have in common: a process of its own keeps
the output in a log, makes peak memory measurable, and never outlives us.
"""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from quantize.jobs.failure import Usage, failure
from quantize.jobs.lifeline import end, guarded
from quantize.jobs.log_tail import log_text
from quantize.root import ROOT

_POLL_S = 0.1


def run_tool(
    argv: Sequence[str | Path],
    *,
    log: Path,
    variables: Mapping[str, str],
    held: Sequence[int] = (),
    on_progress: Callable[[str], None] | None = None,
) -> Usage:
    """Run a tool from the repository's root; both its outputs are appended to ``log``.

    Blocks until it ends. ``variables`` are its whole environment. ``on_progress`` is called about
    ten times a second with the end of the log. ``held`` are descriptors that stay open in the
    tool: a lock held by them outlives this process until the tool is gone as well.

    Raises:
        ToolError: it exited with an error; the message quotes the last lines of its log.
    """
    started = time.monotonic()
    with log.open("ab") as stream:
        child = subprocess.Popen(
            guarded([os.fspath(part) for part in argv]),
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            pass_fds=held,
            start_new_session=True,
        )
    try:
        peak_bytes = _wait(child, log, on_progress)
    except BaseException:
        end(child)
        raise
    if child.returncode:
        raise failure(child.returncode, log)
    return Usage(seconds=time.monotonic() - started, peak_memory_bytes=peak_bytes)


def _wait(
    child: subprocess.Popen[bytes], log: Path, on_progress: Callable[[str], None] | None
) -> int:
    """Wait for the child; returns the peak resident memory of the largest of its processes.

    ``wait4`` reports this child and what it waited for alone, where ``RUSAGE_CHILDREN`` reports
    the largest of all children we ever had.
    """
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_maxrss * 1024
        if on_progress is not None:
            on_progress(log_text(log))
        time.sleep(_POLL_S)
