"""Relay raw bytes between an ASGI request and an HTTP server behind it.

Nothing is re-encoded on the way back, so what a client sees is what the engine sent, chunk by chunk
(of a stream, event by event). A client that goes away closes the connection upstream, which cancels
its request.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import aiohttp

from services.errors import RequestError
from services.event_stream import WholeEvents, error_event

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Step = Callable[[], Awaitable[None]]

MAX_BODY_BYTES = 16 * 2**20
EVENT_STREAM = "text/event-stream"
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
    }
)


async def read_body(receive: Receive, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole request body.

    Raises:
        RequestError: 413 when it exceeds ``limit`` bytes.
        ConnectionResetError: the client left before it was complete.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("client left")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise RequestError(413, f"the request body exceeds {limit} bytes")
        if not message.get("more_body", False):
            return b"".join(parts)


def request_id(scope: Scope) -> str:
    """The request's ``x-request-id``: the client's, or what Serve's proxy gave it.

    The proxy puts it on the response too, so the relay only hands it on to the engine.
    """
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return str(value.decode("latin-1"))
    return f"req-{uuid.uuid4().hex}"


async def send_error(send: Send, error: RequestError) -> None:
    """Answer with OpenAI's error JSON."""
    body = error.body()
    headers = [*error.headers(), (b"content-length", str(len(body)).encode())]
    await send_response(send, error.status, headers, body)


async def send_response(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Answer with one complete body."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def open_session() -> aiohttp.ClientSession:
    """A pool without a bound of its own (queues are ours to bound) that passes bodies as sent."""
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(connector=connector, auto_decompress=False)


async def live(
    receive: Receive,
    send: Send,
    *,
    begin: Callable[[], Awaitable[None]],
    end: Callable[[], Awaitable[None]],
) -> None:
    """An ASGI app's life span: ``begin`` before its first request, ``end`` after its last."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await begin()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await end()
            await send({"type": "lifespan.shutdown.complete"})
            return


class Relay:
    """Forwards requests through one connection pool.

    ``timeout_s`` bounds a whole request; streams that still flow are cut at that point too.
    """

    def __init__(self, session: aiohttp.ClientSession, timeout_s: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=5)

    async def forward(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> int:
        """Send the request to ``url`` and stream the answer back; returns its status.

        ``headers`` are added to the client's own (its authorization is never passed on).

        Raises:
            RequestError: 502 or 504 when the server behind fails before its answer began. A stream
                of events that fails later ends in an error event; any other answer is broken off,
                as HTTP has no other way to say so.
        """
        passed = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name not in _HOP_BY_HOP
        } | {**headers, "x-request-id": request_id(scope)}
        query = scope.get("query_string", b"").decode("latin-1")
        target = f"{url}?{query}" if query else url
        exchange = asyncio.ensure_future(
            self._exchange(scope["method"], target, body, passed, send)
        )
        leaving = asyncio.ensure_future(_until_disconnect(receive))
        try:
            await asyncio.wait({exchange, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not exchange.done():
                return 499
            return exchange.result()
        finally:
            for task in (exchange, leaving):
                task.cancel()
            await asyncio.gather(exchange, leaving, return_exceptions=True)

    async def _exchange(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        send: Send,
    ) -> int:
        began = False
        events: WholeEvents | None = None
        try:
            async with self._session.request(
                method, url, data=body or None, headers=headers, timeout=self._timeout
            ) as response:
                kept = [
                    (name.lower(), value)
                    for name, value in response.raw_headers
                    if name.lower() not in _HOP_BY_HOP and name.lower() != b"x-request-id"
                ]
                start = {"type": "http.response.start", "status": response.status}
                await send({**start, "headers": kept})
                began = True
                events = WholeEvents() if response.content_type == EVENT_STREAM else None
                async for chunk in response.content.iter_any():
                    if whole := events.feed(chunk) if events else chunk:
                        await send({"type": "http.response.body", "body": whole, "more_body": True})
                await send({"type": "http.response.body", "body": events.rest() if events else b""})
                return response.status
        except TimeoutError:
            error = RequestError(504, "the engine did not answer in time")
        except aiohttp.ClientError as failure:
            error = RequestError(502, f"the engine broke off: {type(failure).__name__}")
        if events is not None:
            await send({"type": "http.response.body", "body": error_event(error)})
            return error.status
        if began:
            raise ConnectionResetError(error.message)
        raise error


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
