"""One user's connection: sends a request, and keeps its answer with the times at which it came.

What has come is taken in the event loop's own callback: no greenlet is woken for it and no timer
is set, so an event costs a read, and the streams that got theirs at the same moment hardly wait.
Only the end of an answer, or what may be an error, wakes the user. HTTP is left to llhttp
(geventhttpclient); TLS, which keeps the kernel's stamps to itself, has the times of reading.
"""

import contextlib
import select
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import gevent
import gevent.socket
import gevent.ssl
from gevent.event import Event
from gevent.monkey import get_original
from geventhttpclient.response import HTTPParseError, HTTPResponse

from loadtest.arrivals import STAMP_SPACE, arrival_s, stamp_arrivals
from loadtest.completion import KeptStream

# As much as the kernel may hand over at once: one read then has all that came.
READ_BYTES = 1 << 16
# A user waits this long after an error: a server that refuses is not to be flooded.
ERROR_PAUSE_S = 0.5
_READABLE = 1
_PORTS = {"http": 80, "https": 443}


class BrokenConnectionError(OSError):
    """The connection ended before the answer did; the message says how."""


class LeftAloneError(Exception):
    """The request at hand was given up on our side, with ``Connection.leave``."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where requests go: the parts of its URL; ``path`` goes before every route."""

    host: str
    port: int
    is_tls: bool
    path: str

    @classmethod
    def of(cls, url: str) -> "Server":
        """The server of a URL."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "",
            port=parts.port or _PORTS[parts.scheme],
            is_tls=parts.scheme == "https",
            path=parts.path.rstrip("/"),
        )

    def request(self, route: str, headers: dict[str, str], body: bytes) -> bytes:
        """A whole ``POST`` as it goes over the wire."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        fields = {"Host": f"{host}:{self.port}", **headers, "Content-Length": str(len(body))}
        lines = [f"POST {self.path}{route} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Connection:
    """A connection that is kept for the next request; one request at a time.

    Whatever waits here may be ended by a ``gevent.Timeout``; ``release`` afterwards in any case.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket: Any = None
        self._readable: Any = None
        self._watcher: Any = None
        self._parser = HTTPResponse("POST")
        self._stream = KeptStream()
        self._changed = Event()
        self._wakes_always = False
        self._may_tell_error = False
        self._broken = ""
        self._request = b""
        self._was_used = self._has_come = self._has_left = False

    def send(self, request: bytes, stream: KeptStream) -> None:
        """Send a request; what comes as its answer's body is from now on kept in ``stream``.

        Raises:
            OSError: there is no connection.
            LeftAloneError: it was given up before it was sent.
        """
        self._has_left = False
        if not self._is_idle():
            self.close()
            self._connect()
            self._was_used = False
        self._request, self._stream = request, stream
        self._begin()

    def _begin(self) -> None:
        if self._has_left:
            raise LeftAloneError
        self._parser = HTTPResponse("POST")
        self._wakes_always = self._may_tell_error = self._has_come = False
        self._broken = ""
        self._changed.clear()
        # What refuses a long request may have answered before it has read all of it.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.settimeout(None)
            self._socket.sendall(self._request)
        self._socket.settimeout(0.0)
        self._watcher.start(self._take_tls if self._server.is_tls else self._take)

    def leave(self) -> None:
        """Give up the request at hand: who waits for its answer gets a ``LeftAloneError``."""
        self._has_left = True
        self._changed.set()

    def status(self) -> int:
        """The answer's status; blocks until its head has come.

        Raises:
            BrokenConnectionError: it does not come.
        """
        self._wakes_always = True
        while not self._has_head:
            try:
                self._await()
            except BrokenConnectionError:
                if not self._was_used or self._has_come:
                    raise
                # It was closed for its idleness while we sent: HTTP asks us to try once more.
                self.close()
                self._connect()
                self._was_used = False
                self._begin()
        self._wakes_always, self._was_used = False, True
        code: int = self._parser.get_code()
        return code

    def finish(self) -> bool:
        """Block until the answer's end: True, or until something that may tell an error: False.

        Raises:
            BrokenConnectionError: the connection ends before the answer.
        """
        while not self._is_complete:
            if self._may_tell_error:
                return False
            self._await()
        return True

    def more(self) -> bool:
        """Block until more has come; False where the answer is complete.

        Raises:
            BrokenConnectionError: the connection ends before the answer.
        """
        self._wakes_always = True
        if self._is_complete:
            return False
        self._await()
        return True

    def release(self) -> None:
        """The request at hand is over: keep the connection where it can serve another."""
        if self._watcher is not None:
            self._watcher.stop()
        if not self._is_complete or self._parser.should_close():
            self.close()

    def close(self) -> None:
        """End the connection."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._watcher = None

    @property
    def _has_head(self) -> bool:
        # An interim answer (100, 103) goes before the answer itself.
        return bool(self._parser.headers_complete and self._parser.get_code() >= 200)

    @property
    def _is_complete(self) -> bool:
        return bool(self._parser.message_complete) and self._has_head

    def _await(self) -> None:
        if self._has_left:
            raise LeftAloneError
        if self._broken:
            raise BrokenConnectionError(self._broken)
        self._changed.wait()
        self._changed.clear()

    def _connect(self) -> None:
        server = self._server
        connection = gevent.socket.create_connection((server.host, server.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stamp_arrivals(connection)
        if server.is_tls:
            context = gevent.ssl.create_default_context()
            connection = context.wrap_socket(connection, server_hostname=server.host)
        self._socket = connection
        self._readable = get_original("select", "poll")()
        self._readable.register(connection.fileno(), select.POLLIN)
        self._watcher = gevent.get_hub().loop.io(connection.fileno(), _READABLE)

    def _is_idle(self) -> bool:
        """Whether a kept connection is still one: what it has to read now is its end."""
        if self._socket is None:
            return False
        return not self._readable.poll(0)

    def _take(self) -> None:
        """Take what has come; the event loop's callback, which must neither block nor raise."""
        try:
            piece, ancillary, _, _ = self._socket.recvmsg(READ_BYTES, STAMP_SPACE)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(str(error))
        else:
            self._keep(piece, arrival_s(ancillary))

    def _take_tls(self) -> None:
        """The same of an encrypted connection, which may hold more than its socket shows."""
        try:
            while not self._is_complete and not self._broken:
                self._keep(self._socket.recv(READ_BYTES), time.monotonic())
        except (gevent.ssl.SSLWantReadError, BlockingIOError):
            return
        except OSError as error:
            self._break(str(error))

    def _keep(self, piece: bytes, at_s: float) -> None:
        parser = self._parser
        self._has_come |= bool(piece)
        try:
            parser.feed(piece)
        except HTTPParseError as error:
            return self._break(str(error) if piece else "it was closed")
        if parser._body_buffer:
            self._may_tell_error |= self._stream.take(at_s, bytes(parser._body_buffer))
            parser._body_buffer.clear()
        is_complete = self._is_complete
        if not piece and not is_complete:
            return self._break("it was closed")
        if is_complete:
            self._watcher.stop()
        if is_complete or self._wakes_always or self._may_tell_error:
            self._changed.set()
        return None

    def _break(self, why: str) -> None:
        self._broken = why
        self._watcher.stop()
        self._changed.set()
