"""Text from token bytes as they come: whole UTF-8 characters, and stop strings held back."""

import codecs
from collections.abc import Sequence


class Detokenizer:
    """Assembles the text of one sequence.

    Text that could be the beginning of a stop string is held back until it is clear; a stop
    string itself is never given out, nor anything after it.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def push(self, piece: bytes) -> str:
        """Add one token's bytes; returns the text that is now certain (often empty)."""
        text = self._decoder.decode(piece)
        if not self._stops:
            return text
        self._held += text
        cut = first_stop(self._held, self._stops)
        if cut is not None:
            self.stopped = True
            return self._release(cut)
        return self._release(len(self._held) - held_back(self._held, self._stops))

    def finish(self) -> str:
        """The rest: held text. An unfinished character is not shown, as in vLLM's answers."""
        return "" if self.stopped else self._release(len(self._held))

    def _release(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text


def first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Where the earliest stop string in ``text`` begins, or None."""
    found = [place for stop in stops if (place := text.find(stop)) >= 0]
    return min(found, default=None)


def held_back(text: str, stops: Sequence[str]) -> int:
    """Length of the longest end of ``text`` that begins a stop string."""
    longest = max(len(stop) for stop in stops) - 1
    for length in range(min(longest, len(text)), 0, -1):
        tail = text[-length:]
        if any(stop.startswith(tail) for stop in stops):
            return length
    return 0
