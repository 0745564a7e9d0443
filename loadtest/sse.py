"""Server-sent events, parsed from any split of the byte stream (WHATWG HTML, section 9.2.6).

A network read may hold half an event or five of them, so events are parsed and never reads
counted. Pure: no input or output here.
"""

_DATA = b"data"


class SseParser:
    """Turns bytes into the data of finished events.

    Lines may end in LF, CRLF or CR. Comments and fields other than ``data`` are skipped, several
    ``data`` lines of one event are joined by a line feed, and an event that no blank line ends is
    dropped, as the standard asks.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._after_cr = False

    def feed(self, received: bytes) -> list[bytes]:
        """The data of every event that ``received`` completes, in order."""
        if self._after_cr and received:
            # The CR before already ended the line: an LF now is the second half of a CRLF.
            received = received.removeprefix(b"\n")
            self._after_cr = False
        buffer = self._rest + received
        self._after_cr = buffer.endswith(b"\r")
        if b"\r" in buffer:
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = buffer.split(b"\n")
        return [data for line in lines if (data := self._line(line)) is not None]

    def _line(self, line: bytes) -> bytes | None:
        """Take one line; returns the event's data where the line ends an event that has any."""
        if not line:
            data, self._data = self._data, []
            return b"\n".join(data) if data else None
        name, _, value = line.partition(b":")
        if name == _DATA:
            self._data.append(value.removeprefix(b" "))
        return None
