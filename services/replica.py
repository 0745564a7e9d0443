"""The app of one variant: it relays to its engine, and answers for it when it cannot.

It answers from the first moment: a variant that is not ready says so in OpenAI's error JSON
instead of keeping clients waiting.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import aiohttp
from pydantic_core import to_json

from quantize.artifact.conversation import read_conversation
from services.engine.child import EngineChild
from services.engine.supervisor import Supervisor
from services.engines.spec import EngineSpec
from services.http.access_log import AccessLog
from services.http.admission import Admission
from services.http.asgi import EXPOSITION, JSON, Receive, Scope, Send, live, send_response
from services.http.calling_answer import CallingAnswer
from services.http.cross_origin import CrossOrigin
from services.http.errors import MODEL_NOT_FOUND, RequestError
from services.http.front import Front
from services.http.keys import Keyring
from services.http.prompt_answer import PromptAnswer
from services.http.relay import Relay, open_session
from services.http.request_body import check_refused, check_tokens, parse_object, read_body
from services.http.request_fields import read_fields
from services.http.response_format import FIELD, read_format
from services.http.routes import Route, check_method, find_route, model_of, no_route
from services.http.tools import take_tools
from services.metrics.traffic import Traffic
from services.metrics.variant_metrics import VariantMetrics
from services.model_listing import model_entry
from services.residency.resident import Ask, Resident

Edited = Callable[[Send], Send]


class VariantApp:
    """The ASGI app of one variant; its life span is the engine's. ``node`` is where it runs.

    With ``ask``, the engine is awake only when whom that asks says so.
    """

    def __init__(
        self, supervisor: Supervisor, *, node: str | None = None, ask: Ask | None = None
    ) -> None:
        settings = supervisor.settings
        self._supervisor = supervisor
        self._node = node
        self._settings = settings
        self._keyring = Keyring(digests=settings.key_digests)
        self._log = AccessLog(Path(settings.access_log) if settings.access_log else None)
        self._front = Front(
            name=settings.variant, keyring=self._keyring, log=self._log, handle=self._handle
        )
        self._answer = CrossOrigin(self._front.answer, origins=settings.cors_origins)
        self._admission = Admission(settings.variant, settings.places)
        self._traffic = Traffic()
        supervisor.is_stalled = self._traffic.is_stalled
        self._resident = None if ask is None else Resident(supervisor, ask)
        self._metrics = VariantMetrics(supervisor, self._traffic, self._resident)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (or run the app's life span)."""
        if scope["type"] == "lifespan":
            return await live(receive, send, begin=self._begin, end=self._end)
        return await self._answer(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send, path: str) -> int | None:
        route = find_route(path)
        if route is None:
            raise no_route(path)
        check_method(route, scope["method"], path)
        if route.engine_path is None:
            status, kind, body = await self._tell(scope, path)
            await send_response(send, status, kind, body)
            return None
        if route.asks is None:
            return await self._to_engine(scope, receive, send, route)
        with self._traffic.watch(send) as watched:
            status = await self._to_engine(scope, receive, watched, route)
            watched.status = watched.outcome(status)
            return watched.status

    async def _tell(self, scope: Scope, path: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, content type and body of what the engine need not be asked."""
        state, name = self._supervisor.status.state, self._settings.variant
        code, content = 200, dict[str, Any]()
        match path:
            case "/metrics":
                assert self._session is not None
                return 200, EXPOSITION, await self._metrics.text(self._session)
            case "/healthz":
                content = await self._health(scope)
                code = 200 if state.takes_requests else 503
            case "/health" | "/ping":
                content = {"ready": state.takes_requests, "state": state}
                code = 200 if state.takes_requests else 503
            case "/version":
                engine, number, *_ = f"{self._settings.engine_version} ?".split()
                content = {"version": number, "engine": engine}
            case "/models":
                content = {"object": "list", "data": [self._described()]}
            case _:
                if (model := model_of(path)) != name:
                    message = f"unknown model {model!r} (valid: {name})"
                    raise RequestError(404, message, param="model", code=MODEL_NOT_FOUND)
                content = self._described()
        return code, JSON, json.dumps(content).encode()

    def _described(self) -> dict[str, Any]:
        """The variant as a model; nothing is measured for it."""
        return model_entry(self._supervisor.variant, self._supervisor.known())

    async def drain(self, timeout_s: float) -> int:
        """Take no more requests and let those that are open finish; returns how many did not."""
        self._supervisor.drain()
        return await self._admission.until_empty(timeout_s)

    async def _begin(self) -> None:
        self._session = open_session()
        self._relay = Relay(self._session, self._settings.request_timeout_s)
        if self._resident is None:
            await self._supervisor.start(self._session)
        else:
            self._resident.begin(self._session)

    async def _end(self) -> None:
        if self._resident is not None:
            await self._resident.end()
        await self._supervisor.stop()
        if self._session is not None:
            await self._session.close()
        self._log.close()

    async def _to_engine(self, scope: Scope, receive: Receive, send: Send, route: Route) -> int:
        if self._resident is None:
            self._supervisor.ready_child()
        with self._admission.admit():
            body = await read_body(receive, self._settings.max_body_bytes, scope["headers"])
            # What cannot be answered wakes nobody.
            asked, edited = self._read(body, route, self._supervisor.variant.engine)
            began_s = time.monotonic()
            async with self._engine(receive) as child:
                # Exact paths only: an engine's other routes, reached by its own key, would obey any
                # client.
                return await self._relay.forward(
                    scope,
                    receive,
                    send if edited is None else edited(send),
                    url=f"{child.base_url}{route.engine_path}",
                    body=asked,
                    headers=child.headers,
                    waited_s=time.monotonic() - began_s,
                )
        raise AssertionError

    @asynccontextmanager
    async def _engine(self, receive: Receive) -> AsyncIterator[EngineChild]:
        """The engine as it is now, which may have been replaced while the body came."""
        if self._resident is None:
            yield self._supervisor.ready_child()
        else:
            async with self._resident.engine(receive) as child:
                yield child

    def _read(self, body: bytes, route: Route, spec: EngineSpec) -> tuple[bytes, Edited | None]:
        """The body as the engine is asked, which is as it came wherever nothing must be changed;
        and how its answer is edited.

        Raises:
            RequestError: 400 for what no engine, or not this one, could answer.
        """
        content = parse_object(body)
        if route.asks is None:
            return body, None
        failure = self._supervisor.status.capabilities.get(FIELD)
        formats, reading, asked = FIELD in spec.claims and failure is None, None, content
        if route.asks == "chat":
            asked, reading = take_tools(content, self._templates, formats=formats)
        asked = read_format(asked)
        if FIELD in asked and not formats:
            message = f"{FIELD}: {spec.title} holds no answer to a format"
            raise RequestError(400, message, param=FIELD, code="unsupported_parameter")
        given = {name: value for name, value in asked.items() if value is not None}
        known = spec.fields[route.asks] if spec.fields else None
        asked = read_fields({**self._settings.sampling, **given}, route.asks, known)
        # Below its own name a variant need not be named once more.
        asked.setdefault("model", self._settings.variant)
        check_refused(asked, spec.refuses)
        check_tokens(asked, self._settings.context_length)
        if asked.get("max_tokens") == -1:
            asked["max_tokens"] = spec.no_limit
        edited: Edited | None = None
        if reading is not None:
            edited = partial(CallingAnswer, reading=reading)
        elif spec.counts_unasked and asked.get("max_tokens") == 0:
            edited = PromptAnswer
        return body if asked == content else to_json(asked), edited

    @cached_property
    def _templates(self) -> Mapping[str, str]:
        """The model's chat templates by name, which its artifact's files keep for ever."""
        conversation = read_conversation(Path(self._settings.artifact))
        return conversation.templates if conversation else {}

    async def _health(self, scope: Scope) -> dict[str, Any]:
        """Health is open to everybody, what it tells in detail to those with a key alone.

        So is what the details cost: the engine's memory is read for them.
        """
        if not self._keyring.admits(scope["headers"]):
            return {"variant": self._settings.variant, "state": self._supervisor.status.state}
        return {
            **await self._supervisor.describe(),
            "in_flight": self._admission.in_flight,
            "residency": self._settings.residency,
            "waiting": 0 if self._resident is None else self._resident.waiting,
            # They tell of requests that are over for their clients and not for us.
            "tasks": len(asyncio.all_tasks()),
            "node": self._node,
        }
