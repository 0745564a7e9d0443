"""The few pieces of ASGI that our apps are made of."""

import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from services.http.errors import RequestError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Step = Callable[[], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

JSON = [(b"content-type", b"application/json")]
# Prometheus' text format.
EXPOSITION = [(b"content-type", b"text/plain; version=0.0.4")]


def header(headers: Headers, wanted: bytes) -> str | None:
    """The first header of a name (in lower case)."""
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return None


def request_id(scope: Scope) -> str:
    """The request's ``x-request-id``: the client's, or what Serve's proxy gave it.

    The proxy puts it on the response too, so the relay only hands it on to the engine.
    """
    return header(scope["headers"], b"x-request-id") or f"req-{uuid.uuid4().hex}"


async def send_error(send: Send, error: RequestError, *more: tuple[bytes, bytes]) -> None:
    """Answer with OpenAI's error JSON, and with more headers than the error has itself."""
    body = error.body()
    headers = [*error.headers(), (b"content-length", str(len(body)).encode()), *more]
    await send_response(send, error.status, headers, body)


async def send_response(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Answer with one complete body."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def live(receive: Receive, send: Send, *, begin: Step, end: Step) -> None:
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
