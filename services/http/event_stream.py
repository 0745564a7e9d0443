"""Server-sent events that may break off: only whole events are passed on.

Half an event helps no client, and an error can only be told between two events: so the lines after
the last blank one wait for the rest of their event. Comments between events do not wait, as they
keep connections alive. No byte is altered or lost (WHATWG HTML, section 9.2.6; lines end in LF,
CRLF or CR).
"""

from services.http.errors import RequestError, read_error
from services.http.sse import SseParser

CONTENT_TYPE = "text/event-stream"
_COMMENT = b":"
# More than any event; a stream without blank lines is passed on as it comes.
MAX_HELD_BYTES = 1 << 20


class WholeEvents:
    """Passes a stream on in whole events."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, received: bytes) -> bytes:
        """What can be passed on now: everything up to the end of the last whole event."""
        buffer = self._held + received
        cut = len(buffer) if buffer.endswith(b"\n\n") else _end_of_whole(buffer)
        if len(buffer) - cut > MAX_HELD_BYTES:
            cut = len(buffer)
        self._held = buffer[cut:]
        return buffer[:cut]

    def rest(self) -> bytes:
        """What is left when the stream has ended by itself."""
        held, self._held = self._held, b""
        return held


def error_event(error: RequestError) -> bytes:
    """An error as the last event of a stream, the way OpenAI's clients read one.

    They raise it as an ``APIError``; no ``[DONE]`` follows that would call the answer finished.
    """
    return b"data: " + error.body() + b"\n\n"


def first_error(events: bytes) -> RequestError | None:
    """The error that a stream begins with; None: it begins with something else.

    Engines that have sent their headers before they look at the request tell so that they refuse.
    """
    first = next(iter(SseParser().feed(events)), None)
    return None if first is None else read_error(first, status=200)


def _end_of_whole(buffer: bytes) -> int:
    """Where the last whole event ends, or the last comment behind it."""
    place = end = 0
    is_open = False
    for line in buffer.splitlines(keepends=True):
        place += len(line)
        text = line.rstrip(b"\r\n")
        if text == line:
            break
        is_open = bool(text) and (is_open or not text.startswith(_COMMENT))
        if not is_open:
            end = place
    return end
