"""An engine's log, bounded without anything in the engine's way.

The engine writes straight into a file, never into a pipe that a busy reader could let fill up.
When the file has grown too large, its end is kept under another name and it is cut to nothing: the
engine appends, so it goes on at the new end. Lines written between the two steps are lost.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import BinaryIO

from quantize.jobs.log_tail import log_tail

LIMIT_BYTES = 16 * 2**20
# What an engine can write within this time is what the limit can be exceeded by.
PERIOD_S = 0.2
_TAIL_LINES = 20
# Where a worker's error may lie that the last traceback, the server's, only points to.
_BEFORE_TAIL_BYTES = 2**16
_ERROR = re.compile(
    r"^(?:\([^)]*\) )?(?:\w+ [\d-]+ [\d:]+ \[[^]]*\] )?((?:\w+\.)*\w*(?:Error|Exception): .+)$",
    re.MULTILINE,
)


class EngineLog:
    """The log at ``path``, and what came before it at ``path`` + ``.1``."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.path = path
        self.older = path.with_name(f"{path.name}.1")
        self._limit_bytes = limit_bytes
        self._was_cut = False

    def open(self) -> BinaryIO:
        """A new, empty log for a new engine; the last one's is kept as the older."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path.replace(self.older)
        self._was_cut = False
        return self.path.open("ab")

    def is_over(self) -> bool:
        """Whether it has grown beyond its limit."""
        try:
            return self.path.stat().st_size > self._limit_bytes
        except OSError:
            return False

    def cut(self) -> None:
        """Keep the log's end as the older one, as far as the disk has room, and empty it."""
        temporary = self.older.with_suffix(".partial")
        with self.path.open("r+b") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - self._limit_bytes))
            try:
                temporary.write_bytes(log.read(self._limit_bytes))
                temporary.replace(self.older)
            except OSError:
                temporary.unlink(missing_ok=True)
            log.truncate(0)
        self._was_cut = True

    def text(self) -> str:
        """All that is in it now; empty where there is none."""
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _end(self, size: int) -> str:
        """No more than its last bytes; a line whose beginning lies before them is left out."""
        try:
            with self.path.open("rb") as log:
                before = max(0, log.seek(0, os.SEEK_END) - size)
                log.seek(before)
                found = log.read(size)
        except OSError:
            return ""
        whole = found.partition(b"\n")[2] if before else found
        return whole.decode(errors="replace")

    def tail(self) -> str:
        """The engine's last lines, as an error's message shows them, and the first error before."""
        lines = log_tail(self.path, _TAIL_LINES).splitlines()
        if self._was_cut and len(lines) < _TAIL_LINES:
            before = log_tail(self.older, _TAIL_LINES - len(lines))
            lines = [*before.splitlines(), *lines]
        first = _ERROR.search(self._end(_BEFORE_TAIL_BYTES))
        if first is not None and not any(first[1] in line for line in lines):
            lines = [f"{first[1]} …", *lines[1:]]
        return "\n".join(lines)
