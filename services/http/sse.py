"""Server-sent events, parsed from any split of the byte stream (WHATWG HTML, section 9.2.6).

A network read may hold half an event or five of them, so events are parsed and never reads
counted. Pure: no input or output here.
"""

_DATA = b"data"
_OTHER_FIELDS = frozenset({b"event", b"id", b"retry", b""})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_STRAY = 1000


class SseParser:
    """Turns bytes into the data of finished events.

    Lines may end in LF, CRLF or CR, and a byte order mark may come first. Comments and fields other
    than ``data`` are skipped, several ``data`` lines of one event are joined by a line feed, and an
    event that no blank line ends is dropped, as the standard asks. So is one whose data is blank,
    as it tells nothing: some servers keep connections alive by it.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._after_cr = False
        self._begun = False
        self._stray = b""

    def feed(self, received: bytes) -> list[bytes]:
        """The data of every event that ``received`` completes, in order."""
        if self._after_cr and received:
            # The CR before already ended the line: an LF now is the second half of a CRLF.
            received = received.removeprefix(b"\n")
            self._after_cr = False
        buffer = self._rest + received
        if not self._begun:
            if len(buffer) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(buffer):
                self._rest = buffer
                return []
            self._begun = True
            buffer = buffer.removeprefix(_BYTE_ORDER_MARK)
        self._after_cr = buffer.endswith(b"\r")
        if b"\r" in buffer:
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = buffer.split(b"\n")
        return [data for line in lines if (data := self._line(line)) is not None]

    def stray(self) -> bytes:
        """The first line so far that is no part of an event stream, or has not ended; often empty.

        A server that answers with something else (an error as one JSON body) says there what.
        """
        return self._stray or self._rest[:_LONGEST_STRAY]

    def _line(self, line: bytes) -> bytes | None:
        """Take one line; returns the event's data where the line ends an event that has any."""
        if not line:
            data, self._data = b"\n".join(self._data), []
            return data if data.strip() else None
        name, _, value = line.partition(b":")
        if name == _DATA:
            self._data.append(value.removeprefix(b" "))
        elif name not in _OTHER_FIELDS and not self._stray:
            self._stray = line[:_LONGEST_STRAY]
        return None
