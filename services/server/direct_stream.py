"""A stream's events written by the engine's thread, without a turn of the server's loop.

Beside a model that decodes a token in under a millisecond, waking the loop for every token costs a
tenth of the throughput. So once the loop has begun a stream, the engine writes to its socket by
itself, as long as everything that was handed to the loop has gone out, and the client keeps up.
"""

import socket
import threading
from asyncio import Transport
from collections.abc import Callable

from services.server.sequence import Chunk


class DirectStream:
    """One answer's events, each written whole, in order, and by one thread at a time.

    The engine calls it with the chunks in the middle of the stream; what it does not write is
    handed over to the loop, and so the loop begins and ends every stream.
    """

    def __init__(self, transport: Transport, line: Callable[[Chunk], bytes]) -> None:
        """``line`` makes the event of a chunk; the answer must be sent in chunks (HTTP/1.1)."""
        self._transport = transport
        self._line = line
        # Not the transport's own: that one is closed, and its number used again, while we write.
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        # Chunks that the loop gave to the transport, and those of them that are out for certain.
        self._given = self._out = 0
        self._rest = b""

    def __call__(self, chunk: Chunk, handed_over: int) -> bool:
        """Write a chunk if all that was handed over is out; called by the engine, never blocks."""
        with self._lock:
            if self._socket is None or self._out != handed_over:
                return False
            frame = _frame(self._line(chunk))
            sent = _send(self._socket, frame)
            if sent < len(frame):
                # A client that does not keep up is the loop's from here on.
                self._rest = frame[sent:]
                self._end()
            return sent == len(frame)

    def lines(self, chunks: list[Chunk]) -> bytes:
        """The events of chunks that were handed over; what remains of one begun is sent before."""
        return b"".join(map(self._line, chunks[1:] if self._finish_begun() else chunks))

    def given(self, chunks: int) -> None:
        """The loop has given so many more chunks to the transport."""
        self._given += chunks
        if self._transport.get_write_buffer_size() or self._transport.is_closing():
            return
        with self._lock:
            if not self._out:
                self._socket = self._transport.get_extra_info("socket").dup()
            self._out = self._given

    def close(self) -> None:
        """Let the engine write nothing more; what remains of an event that it began is sent."""
        with self._lock:
            self._end()
        self._finish_begun()

    def _finish_begun(self) -> bool:
        """Send what remains of an event, and whether anything did."""
        rest, self._rest = self._rest, b""
        if rest:
            self._transport.write(rest)
        return bool(rest)

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _frame(data: bytes) -> bytes:
    """A chunk of a chunked body (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _send(to: socket.socket, data: bytes) -> int:
    """How many bytes the socket takes at once; none of a connection that has ended."""
    try:
        return to.send(data, socket.MSG_DONTWAIT)
    except OSError:
        return 0
