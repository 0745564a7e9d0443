"""Before Ray Serve's own HTTP servers: our keys on their routes, and their errors as OpenAI's JSON.

Serve answers some requests itself, with plain text or a traceback: what no application has a route
for, what it drops or times out, what failed. Serve's proxy and its replicas run this middleware
(``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH``) in front of themselves; the replicas' ports are
reached without a proxy too. Our apps check keys and origins once more, wherever this is not set up.
"""

import os
from collections.abc import Callable
from typing import Any

from starlette.middleware import Middleware

from services.http.asgi import Message, Receive, Scope, Send, header, request_id, send_error
from services.http.cross_origin import CrossOrigin
from services.http.errors import RequestError
from services.http.keys import Keyring
from services.http.routes import OPEN_NAMES, named

DIGESTS_VARIABLE = "ASSAY_KEY_DIGESTS"
ORIGINS_VARIABLE = "ASSAY_CORS_ORIGINS"
SERVE_HEALTH = "/-/healthz"
SERVE_ROUTES = "/-/routes"
_MESSAGES = {
    404: (404, "no such route; GET /v1/models lists the variants"),
    408: (504, "the request timed out"),
    499: (499, "the client left"),
    500: (500, "internal error; the log tells more"),
    503: (503, "the variant takes no requests now"),
}


def middlewares() -> list[Middleware]:
    """What Serve puts before its HTTP servers, in the processes that run them."""
    return [
        Middleware(CrossOrigin, origins=_listed(ORIGINS_VARIABLE)),
        Middleware(ServeErrors, keyring=Keyring(digests=_listed(DIGESTS_VARIABLE))),
    ]


def _listed(variable: str) -> tuple[str, ...]:
    return tuple(filter(None, os.environ.get(variable, "").split(",")))


class ServeErrors:
    """ASGI middleware around one of Serve's servers."""

    def __init__(self, app: Callable[..., Any], *, keyring: Keyring) -> None:
        self._app = app
        self._keyring = keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what brings no key, and pass everything else through."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)  # type: ignore[no-any-return]
        path, identity = scope["path"], _identify(scope)
        if path != SERVE_HEALTH and not named(path).endswith(OPEN_NAMES):
            try:
                self._keyring.check(scope["headers"])
            except RequestError as error:
                return await _refuse(send, error, identity)
        if path == SERVE_ROUTES:
            return await _refuse(send, RequestError(404, _MESSAGES[404][1]), identity)
        if path == SERVE_HEALTH:
            return await self._app(scope, receive, send)  # type: ignore[no-any-return]
        translation = _Translation(send, identity)
        return await self._app(scope, receive, translation.send)  # type: ignore[no-any-return]


def _identify(scope: Scope) -> bytes:
    """The request's id; one without gets it here, and Serve's own middleware behind us finds it."""
    given = header(scope["headers"], b"x-request-id")
    identity = (given or request_id(scope)).encode("latin-1")
    if given is None:
        scope["headers"] = [*scope["headers"], (b"x-request-id", identity)]
    return identity


async def _refuse(send: Send, error: RequestError, identity: bytes) -> None:
    await send_error(send, error, (b"x-request-id", identity))


class _Translation:
    """Passes an answer on, but for a plain-text error: that one is told anew."""

    def __init__(self, send: Send, identity: bytes) -> None:
        self._send = send
        self._identity = identity
        self._error: RequestError | None = None

    async def send(self, message: Message) -> None:
        """ASGI's ``send``."""
        if message["type"] == "http.response.start":
            self._error = _plain_error(message)
        if self._error is None:
            await self._send(message)
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            await _refuse(self._send, self._error, self._identity)


def _plain_error(start: Message) -> RequestError | None:
    """What a plain-text error means; None for every other answer."""
    if start["status"] < 400:
        return None
    kinds = [value for name, value in start.get("headers", ()) if name.lower() == b"content-type"]
    if kinds and not kinds[0].startswith(b"text/"):
        return None
    status, message = _MESSAGES.get(start["status"], (start["status"], "the request failed"))
    return RequestError(status, message)
