"""Relay raw bytes between an ASGI request and an HTTP server behind it.

Nothing is re-encoded on the way back, so what a client sees is what the engine sent, chunk by chunk
(of a stream, event by event). A client that goes away closes the connection upstream, which cancels
its request.
"""

import asyncio
from collections.abc import Mapping

import aiohttp

from services.http.asgi import Message, Receive, Scope, Send, request_id
from services.http.connection import WhileConnected
from services.http.errors import CLIENT_LEFT, RequestError, read_error
from services.http.event_stream import CONTENT_TYPE, WholeEvents, error_event, first_error

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"host",
        b"authorization",
        b"date",
        b"server",
        b"x-request-id",
        b"expect",
        b"x-request-disconnect-disabled",
        # Whose pages may read an answer is for us to say, and not for an engine's own defaults.
        b"origin",
    }
)


# An idle connection is given up well before the server behind it does (uvicorn's default, which
# every engine keeps: 5 s): a request on one that is being closed is lost, and nobody may repeat it.
IDLE_S = 2.0
FIRST_ERROR = 400
_CONNECTING = aiohttp.ClientTimeout(total=None, sock_connect=5)
# Of an error that is no JSON, what is passed on as its message.
_SHOWN_BYTES = 300


def open_session() -> aiohttp.ClientSession:
    """A pool without a bound of its own (queues are ours to bound) that passes bodies as sent."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S)
    return aiohttp.ClientSession(connector=connector, auto_decompress=False)


class Relay:
    """Forwards requests through one connection pool.

    ``timeout_s`` bounds a whole request, with what it waited for before it is forwarded; streams
    that still flow are cut at that point too.
    """

    def __init__(self, session: aiohttp.ClientSession, timeout_s: float) -> None:
        self._session = session
        self._timeout_s = timeout_s

    async def forward(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        waited_s: float = 0.0,
    ) -> int:
        """Send the request to ``url`` and stream the answer back; returns its status (499 for a
        client that left).

        ``headers`` are added to the client's own (its authorization is never passed on);
        ``waited_s`` is how much of its time is over.

        Raises:
            RequestError: what the server behind refused the request with, in a stream's first event
                too; 502 or 504 when it fails before its answer began. A stream of events that fails
                later ends in an error event; any other answer is broken off, as HTTP has no other
                way to say so.
            ConnectionResetError: the answer was broken off.
        """
        passed = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name not in _HOP_BY_HOP
        } | {**headers, "x-request-id": request_id(scope)}
        query = scope.get("query_string", b"").decode("latin-1")
        target = f"{url}?{query}" if query else url
        async with WhileConnected(receive):
            exchange = self._exchange(scope["method"], target, body, passed, send, waited_s)
            return await exchange
        return CLIENT_LEFT

    async def _exchange(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        send: Send,
        waited_s: float,
    ) -> int:
        answer, left_s = _Answer(send), max(0.0, self._timeout_s - waited_s)
        try:
            # The session's own timeout does not run while a client that reads nothing holds us up.
            async with (
                asyncio.timeout(left_s),
                self._session.request(
                    method, url, data=body or None, headers=headers, timeout=_CONNECTING
                ) as response,
            ):
                if response.status >= FIRST_ERROR:
                    raise await _refusal(response)
                await answer.begin(response)
                async for chunk in response.content.iter_any():
                    await answer.add(chunk)
                await answer.complete()
                return response.status
        except TimeoutError:
            woken = f" in the {left_s:.0f} s that were left when it was awake"
            when = " in time" if waited_s < 1 else woken
            error = RequestError(504, f"the engine did not answer{when}")
        except aiohttp.ClientError as failure:
            error = RequestError(502, f"the engine broke off: {type(failure).__name__}")
        return await answer.fail(error)


async def _refusal(response: aiohttp.ClientResponse) -> RequestError:
    """An engine's error, told as we tell ours."""
    body = await response.read()
    message = body[:_SHOWN_BYTES].decode(errors="replace").strip() or str(response.reason)
    return read_error(body, response.status) or RequestError(response.status, message)


class _Answer:
    """An answer on its way to the client, and how far it has got.

    A stream begins with its first event: until then a refusal can still be told as one.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._events: WholeEvents | None = None
        self._began = False
        self._start: Message | None = None
        # Whether something is being sent: a client that reads nothing would not read an error.
        self._is_sending = False

    async def begin(self, response: aiohttp.ClientResponse) -> None:
        """Pass on the status and the headers."""
        kept = [
            (name.lower(), value)
            for name, value in response.raw_headers
            if name.lower() not in _HOP_BY_HOP
        ]
        self._start = {"type": "http.response.start", "status": response.status, "headers": kept}
        if response.content_type == CONTENT_TYPE:
            self._events = WholeEvents()
        else:
            await self._begin()

    async def add(self, chunk: bytes) -> None:
        """Pass on what can be.

        Raises:
            RequestError: this is the first event, and an error.
        """
        if whole := self._events.feed(chunk) if self._events else chunk:
            if not self._began and (error := first_error(whole)) is not None:
                raise error
            await self._begin()
            await self._pass({"type": "http.response.body", "body": whole, "more_body": True})

    async def complete(self) -> None:
        """Pass on what is left."""
        await self._begin()
        rest = self._events.rest() if self._events else b""
        await self._pass({"type": "http.response.body", "body": rest})

    async def _begin(self) -> None:
        if not self._began:
            assert self._start is not None
            self._began = True
            await self._pass(self._start)

    async def _pass(self, message: Message) -> None:
        self._is_sending = True
        await self._send(message)
        self._is_sending = False

    async def fail(self, error: RequestError) -> int:
        """End with an error as far as one can still be told; returns its status."""
        if self._began and self._events is not None and not self._is_sending:
            await self._send({"type": "http.response.body", "body": error_event(error)})
            return error.status
        if self._began:
            raise ConnectionResetError(error.message)
        raise error
