"""Server-sent events that may break off: only whole events are passed on.

Half an event helps no client, and an error can only be told between two events: so the bytes after
the last blank line wait for the rest of theirs. No byte is altered or lost (WHATWG HTML, section
9.2.6; engines end their lines with LF or CRLF).
"""

from services.http.errors import RequestError, read_error

CONTENT_TYPE = "text/event-stream"
_ENDS = (b"\n\n", b"\r\n\r\n")
# More than any event; a stream without blank lines is passed on as it comes.
MAX_HELD_BYTES = 1 << 20


class WholeEvents:
    """Passes a stream on in whole events."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, received: bytes) -> bytes:
        """What can be passed on now: everything up to the end of the last whole event."""
        buffer = self._held + received
        cut = max(buffer.rfind(end) + len(end) if end in buffer else 0 for end in _ENDS)
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
    for line in events.splitlines():
        if line.startswith(b"data:"):
            return read_error(line.removeprefix(b"data:"), status=200)
    return None
