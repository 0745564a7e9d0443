"""One line of progress that is visible on a terminal and readable in a log file."""

import sys
import time
from types import TracebackType

_REDRAW_S = 0.5
_LOG_EVERY_S = 10.0


class ProgressLine:
    """Shows ``title: words, seconds``: redrawn in place on a terminal, else now and then printed.

    Writes to stderr, so that stdout keeps only results.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.started = time.monotonic()
        self.live = sys.stderr.isatty()
        self.next_at = self.started + (0 if self.live else _LOG_EVERY_S)
        self.words = ""

    def __call__(self, words: str) -> None:
        """Show ``words``, or the last ones where they are empty; never more than twice a second."""
        self.words = words or self.words
        now = time.monotonic()
        if now < self.next_at:
            return
        shown = ", ".join(part for part in (self.words, f"{now - self.started:.0f} s") if part)
        line = f"{self.title:<16} {shown}"
        self.next_at = now + (_REDRAW_S if self.live else _LOG_EVERY_S)
        print(
            f"\r\x1b[K{line}" if self.live else line,
            end="" if self.live else "\n",
            file=sys.stderr,
            flush=True,
        )

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the line."""
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
