"""Run one step of a tool in a process of its own, in the environment that has the tool.

The tools print a lot, hold memory and cannot share an environment; a process per step keeps the
output in a log, makes peak memory measurable, and dies with its parent.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantize.jobs.log_tail import log_text
from quantize.root import ROOT, VENVS

_POLL_S = 0.1
_ERROR_LINES = 6
_REFUSED = 2
_FULL_DISK_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1


class ToolError(RuntimeError):
    """A tool failed or its environment is missing; the message ends with the tool's own words."""


class RefusedError(ToolError):
    """A tool refused what it was asked for (exit code 2); the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one step cost: wall time, and the peak resident memory of its process."""

    seconds: float
    peak_memory_bytes: int


def environment_python(name: str) -> Path:
    """The interpreter of one of the environments under ``.venvs``.

    Raises:
        ToolError: the environment was not made.
    """
    python = VENVS / name / "bin" / "python"
    if not python.exists():
        raise ToolError(f"the environment {name!r} is missing ({python}); run `make setup`")
    return python


def installed_version(environment: str, distribution: str) -> str:
    """The version of a distribution in an environment.

    Raises:
        ToolError: the environment or the distribution is missing.
    """
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    done = subprocess.run(
        [environment_python(environment), "-c", code, distribution],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ToolError(f"{distribution} is not installed in {environment!r}; run `make setup`")
    return done.stdout.strip()


def run_tool(
    argv: Sequence[str | Path],
    *,
    log: Path,
    threads: int,
    env: Mapping[str, str] | None = None,
    held_fds: Sequence[int] = (),
    on_progress: Callable[[str, float], None] | None = None,
) -> Usage:
    """Run a tool from the repository's root; both its outputs are appended to ``log``.

    Blocks until it ends. ``on_progress`` is called about ten times a second with the end of the
    log and the seconds so far. ``held_fds`` stay open in the tool: a lock held by them outlives
    this process until the tool is gone as well. The tool is killed when this process dies.

    Raises:
        ToolError: it exited with an error; the message quotes the last lines of its log.
    """
    started = time.monotonic()
    with log.open("ab") as stream:
        child = subprocess.Popen(
            [os.fspath(part) for part in argv],
            cwd=ROOT,
            env=tool_environment(threads, env or {}),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            pass_fds=held_fds,
            preexec_fn=die_with_parent,
        )
    try:
        peak_bytes = _wait(child, log, started, on_progress)
    except BaseException:
        child.kill()
        child.wait()
        raise
    if child.returncode:
        raise failure(child.returncode, log)
    return Usage(seconds=time.monotonic() - started, peak_memory_bytes=peak_bytes)


def tool_environment(threads: int, extra: Mapping[str, str]) -> dict[str, str]:
    """Offline, and with a fixed number of threads: a tool must not reach for more of either."""
    fixed = {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        # Threads that spin while they wait take the processor from everything else here.
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {**os.environ, **fixed, **extra}


def die_with_parent() -> None:
    """Runs in the child before exec: the kernel kills it when its parent ends (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(
    child: subprocess.Popen[bytes],
    log: Path,
    started: float,
    on_progress: Callable[[str, float], None] | None,
) -> int:
    """Wait for the child; returns its peak resident memory in bytes.

    ``wait4`` reports this child alone, where ``RUSAGE_CHILDREN`` reports the largest of all.
    """
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_maxrss * 1024
        if on_progress is not None:
            on_progress(log_text(log), time.monotonic() - started)
        time.sleep(_POLL_S)


def _last_words(log: Path, returncode: int) -> str:
    """The exception's line where a traceback ends the log, else the last few lines.

    A refusal is one line, the last: what libraries print before it would bury it.
    """
    lines = [line.strip() for line in log_text(log).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("progress:")]
    if returncode == _REFUSED and lines:
        return lines[-1]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt)\b", line)]
    return raised[-1] if raised else " | ".join(lines[-_ERROR_LINES:]) or "it printed nothing"


def failure(returncode: int, log: Path) -> ToolError:
    """What a tool's exit code and the end of its log say, in one line."""
    said = f"{_ending(returncode)}: {_last_words(log, returncode)} (log: {log})"
    # A log on the same disk may have lost the tool's own words.
    if shutil.disk_usage(log.parent).free < _FULL_DISK_BYTES:
        said = f"the disk is full at {log.parent}, make room; {said}"
    return RefusedError(said) if returncode == _REFUSED else ToolError(said)


def _ending(returncode: int) -> str:
    if returncode == -signal.SIGKILL:
        return "the tool was killed (out of memory?)"
    if returncode < 0:
        return f"the tool was stopped by {signal.Signals(-returncode).name}"
    return f"the tool failed with exit code {returncode}"
