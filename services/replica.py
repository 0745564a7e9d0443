"""The app of one variant: it relays to its engine, and answers for it when it cannot.

It answers from the first moment: a variant that is not ready says so in OpenAI's error JSON
instead of keeping clients waiting.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
from pydantic_core import to_json

from services.engine.life_cycle import State
from services.engine.supervisor import Supervisor
from services.engines.spec import EngineSpec
from services.http.access_log import AccessLog
from services.http.admission import Admission
from services.http.asgi import EXPOSITION, JSON, Receive, Scope, Send, live, send_response
from services.http.errors import RequestError
from services.http.front import Front
from services.http.keys import Keyring
from services.http.relay import Relay, open_session
from services.http.request_body import check_refused, check_tokens, parse_object, read_body
from services.http.request_fields import Route, read_fields
from services.metrics.traffic import Traffic
from services.metrics.variant_metrics import VariantMetrics

# Exact paths only: an engine's other routes, reached by its own key, would obey any client.
GENERATION_ROUTES: Mapping[str, Route] = MappingProxyType(
    {"/v1/completions": "completions", "/v1/chat/completions": "chat"}
)
ENGINE_ROUTES: Mapping[str, str] = MappingProxyType(
    {"/v1/models": "GET", **dict.fromkeys(sorted(GENERATION_ROUTES), "POST")}
)


class VariantApp:
    """The ASGI app of one variant; its life span is the engine's. ``node`` is where it runs."""

    def __init__(self, supervisor: Supervisor, *, node: str | None = None) -> None:
        settings = supervisor.settings
        self._supervisor = supervisor
        self._node = node
        self._settings = settings
        self._keyring = Keyring(digests=settings.key_digests)
        self._log = AccessLog(Path(settings.access_log) if settings.access_log else None)
        self._front = Front(
            name=settings.variant, keyring=self._keyring, log=self._log, handle=self._handle
        )
        self._admission = Admission(settings.variant, settings.places)
        self._traffic = Traffic()
        supervisor.is_stalled = self._traffic.is_stalled
        self._metrics = VariantMetrics(supervisor, self._traffic)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (or run the app's life span)."""
        if scope["type"] == "lifespan":
            return await live(receive, send, begin=self._begin, end=self._end)
        return await self._front.answer(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send, path: str) -> int | None:
        if path == "/healthz":
            await self._healthz(scope, send)
        elif path == "/metrics":
            assert self._session is not None
            text = await self._metrics.text(self._session)
            await send_response(send, 200, EXPOSITION, text)
        elif path in GENERATION_ROUTES:
            with self._traffic.watch(send) as watched:
                status = await self._to_engine(scope, receive, watched, path)
                watched.status = watched.outcome(status)
                return watched.status
        elif path in ENGINE_ROUTES:
            return await self._to_engine(scope, receive, send, path)
        else:
            routes = ", ".join(sorted(ENGINE_ROUTES))
            raise RequestError(404, f"no route {path!r}: use {routes}, /healthz or /metrics")
        return None

    async def drain(self, timeout_s: float) -> int:
        """Take no more requests and let those that are open finish; returns how many did not."""
        self._supervisor.drain()
        return await self._admission.until_empty(timeout_s)

    async def _begin(self) -> None:
        self._session = open_session()
        self._relay = Relay(self._session, self._settings.request_timeout_s)
        await self._supervisor.start(self._session)

    async def _end(self) -> None:
        await self._supervisor.stop()
        if self._session is not None:
            await self._session.close()
        self._log.close()

    async def _to_engine(self, scope: Scope, receive: Receive, send: Send, path: str) -> int:
        method = ENGINE_ROUTES[path]
        if scope["method"] != method:
            raise RequestError(405, f"{path} takes {method}")
        self._supervisor.ready_child()
        with self._admission.admit():
            body = await read_body(receive, self._settings.max_body_bytes, scope["headers"])
            # The engine may have been replaced while the body came.
            child = self._supervisor.ready_child()
            if method == "POST":
                body = self._read(body, GENERATION_ROUTES[path], child.spec)
            return await self._relay.forward(
                scope, receive, send, url=child.base_url + path, body=body, headers=child.headers
            )

    def _read(self, body: bytes, route: Route, spec: EngineSpec) -> bytes:
        """The body as the engine is asked, which is as it came wherever nothing must be changed.

        Raises:
            RequestError: 400 for what no engine, or not this one, could answer.
        """
        content = parse_object(body)
        asked = read_fields(content, route, spec.fields[route] if spec.fields else None)
        check_refused(asked, spec.refuses)
        check_tokens(asked, self._settings.context_length)
        if asked.get("max_tokens") == -1:
            asked["max_tokens"] = spec.no_limit
        return body if asked == content else to_json(asked)

    async def _healthz(self, scope: Scope, send: Send) -> None:
        """Health is open to everybody, what it tells in detail to those with a key alone.

        So is what the details cost: the engine's memory is read for them.
        """
        state = self._supervisor.status.state
        body: dict[str, Any] = {"variant": self._settings.variant, "state": state}
        if self._keyring.admits(scope["headers"]):
            body = {
                **await self._supervisor.describe(),
                "in_flight": self._admission.in_flight,
                # They tell of requests that are over for their clients and not for us.
                "tasks": len(asyncio.all_tasks()),
                "node": self._node,
            }
        code = 200 if body["state"] is State.READY else 503
        await send_response(send, code, JSON, json.dumps(body).encode())
