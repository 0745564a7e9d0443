"""How a tool or a job ended that did not do what it was asked: clear errors in its own words.

    ToolError           it failed, or its environment is missing
      RefusedError      it refused what it was asked for; the message says what to change

Standard library only: set-up imports this before any environment exists.
"""

import errno
import os
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from quantize.jobs.log_tail import log_text

_ERROR_LINES = 6
REFUSED = 2
# A guard, like a shell, says the signal that ended its command so.
_SIGNALLED = 128
_FULL_DISK_BYTES = 1 << 20


class ToolError(RuntimeError):
    """A tool failed or its environment is missing; the message ends with the tool's own words.

    ``words`` are those alone.
    """

    def __init__(self, message: str, words: str = "") -> None:
        super().__init__(message)
        self.words = words or message


class RefusedError(ToolError):
    """A tool refused what it was asked for (exit code 2); the message says what to change."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one step cost: wall time, and the peak resident memory of its process."""

    seconds: float
    peak_memory_bytes: int


def failure(returncode: int, log: Path) -> ToolError:
    """What a tool's exit code and the end of its log say, in one line."""
    words = _last_words(log, returncode)
    said = f"{_ending(returncode)}: {words} (log: {log})"
    # A log on the same disk may have lost the tool's own words; what it wrote may be gone again.
    full = os.strerror(errno.ENOSPC) in words
    if full or shutil.disk_usage(log.parent).free < _FULL_DISK_BYTES:
        said = f"the disk is full at {log.parent}, make room; {said}"
    return RefusedError(said, words) if returncode == REFUSED else ToolError(said, words)


def refusal(words: str, log: Path) -> RefusedError:
    """What a job said for itself when it refused its request."""
    return RefusedError(f"{_ending(REFUSED)}: {words} (log: {log})", words)


def _last_words(log: Path, returncode: int) -> str:
    """The exception's line where a traceback ends the log, else the last few lines.

    A refusal is one line, the last: what libraries print before it would bury it.
    """
    lines = [line.strip() for line in log_text(log).splitlines() if line.strip()]
    if returncode == REFUSED and lines:
        return lines[-1]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt)\b", line)]
    return raised[-1] if raised else " | ".join(lines[-_ERROR_LINES:]) or "it printed nothing"


def _ending(returncode: int) -> str:
    if not returncode:
        return "the tool ended without an answer"
    number = -returncode if returncode < 0 else returncode - _SIGNALLED
    if number == signal.SIGKILL:
        return "the tool was killed (out of memory?)"
    if number in set(signal.Signals):
        return f"the tool was stopped by {signal.Signals(number).name}"
    return f"the tool failed with exit code {returncode}"
