"""The app of one variant: it relays to its engine, and answers for it when it cannot.

It answers from the first moment: a variant that is not ready says so in OpenAI's error JSON
instead of keeping clients waiting.
"""

import json

import aiohttp

from services.errors import RequestError
from services.life_cycle import State
from services.relay import (
    Receive,
    Relay,
    Scope,
    Send,
    live,
    open_session,
    read_body,
    send_error,
    send_response,
)
from services.supervisor import Supervisor
from services.traffic import Traffic
from services.variant_metrics import VariantMetrics

# Exact paths only: an engine's other routes, reached by its own key, would obey any client.
ENGINE_ROUTES = frozenset({"/v1/models", "/v1/completions", "/v1/chat/completions"})
GENERATION_ROUTES = ENGINE_ROUTES - {"/v1/models"}
JSON = [(b"content-type", b"application/json")]
TEXT = [(b"content-type", b"text/plain; version=0.0.4")]


class VariantApp:
    """The ASGI app of one variant; its life span is the engine's. ``node`` is where it runs."""

    def __init__(self, supervisor: Supervisor, *, node: str | None = None) -> None:
        self._supervisor = supervisor
        self._node = node
        self._settings = supervisor.settings
        self._in_flight = 0
        supervisor.open_requests = lambda: self._in_flight
        self._traffic = Traffic()
        self._metrics = VariantMetrics(supervisor, self._traffic)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Serve leaves its route prefix in the path, as ``root_path``."""
        if scope["type"] == "lifespan":
            return await live(receive, send, begin=self._begin, end=self._end)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        try:
            if path == "/healthz":
                await self._healthz(send)
            elif path == "/metrics":
                assert self._session is not None
                await send_response(send, 200, TEXT, await self._metrics.text(self._session))
            elif path in GENERATION_ROUTES:
                with self._traffic.watch(send) as watched:
                    watched.status = await self._to_engine(scope, receive, watched, path)
            elif path in ENGINE_ROUTES:
                await self._to_engine(scope, receive, send, path)
            else:
                routes = ", ".join(sorted(ENGINE_ROUTES))
                raise RequestError(404, f"no route {path!r}: use {routes}, /healthz or /metrics")
        except RequestError as error:
            await send_error(send, error)
        except ConnectionResetError:
            return None
        return None

    async def _begin(self) -> None:
        self._session = open_session()
        self._relay = Relay(self._session, self._settings.request_timeout_s)
        await self._supervisor.start(self._session)

    async def _end(self) -> None:
        await self._supervisor.stop()
        if self._session is not None:
            await self._session.close()

    async def _to_engine(self, scope: Scope, receive: Receive, send: Send, path: str) -> int:
        body = await read_body(receive)
        child = self._supervisor.ready_child()
        if self._in_flight >= self._settings.max_sequences + self._settings.queue_length:
            name = self._settings.variant
            raise RequestError(429, f"{name}: {self._in_flight} requests are in flight already")
        self._in_flight += 1
        try:
            return await self._relay.forward(
                scope, receive, send, url=child.base_url + path, body=body, headers=child.headers
            )
        finally:
            self._in_flight -= 1

    async def _healthz(self, send: Send) -> None:
        described = await self._supervisor.describe()
        body = {**described, "in_flight": self._in_flight, "node": self._node}
        code = 200 if self._supervisor.status.state is State.READY else 503
        await send_response(send, code, JSON, json.dumps(body).encode())
