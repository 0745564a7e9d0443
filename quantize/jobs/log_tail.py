"""The end of a log, as an error's message shows it. Standard library only: set-up uses it too."""

import os
import re
from pathlib import Path

_TAIL_BYTES = 1 << 14
_LINES = 20


def log_text(log: Path) -> str:
    """The last 16 KiB of a log, without terminal control sequences; empty where there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            raw = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw).replace("\r", "\n")


def log_tail(log: Path, lines: int = _LINES) -> str:
    """The last lines of a log; empty where there is none."""
    return "\n".join(log_text(log).splitlines()[-lines:])
