"""The gateway: ``/v1`` for all variants, routed by the request's ``model``.

Every variant's own route (``/<variant>/v1``) does without this hop.
"""

import asyncio
import json
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp

from services.engine.life_cycle import State
from services.http.access_log import AccessLog
from services.http.admission import Admission
from services.http.asgi import (
    EXPOSITION,
    JSON,
    Headers,
    Receive,
    Scope,
    Send,
    header,
    live,
    send_response,
)
from services.http.cross_origin import CrossOrigin
from services.http.errors import MODEL_NOT_FOUND, RequestError
from services.http.front import Front
from services.http.keys import Keyring
from services.http.relay import Relay, open_session
from services.http.request_body import MAX_BODY_BYTES, parse_object, read_body
from services.http.routes import Route, check_method, find_route, model_of, no_route
from services.metrics.discovery import TARGETS_PATH, targets
from services.metrics.exposition import merge_expositions
from services.model_listing import model_entry
from services.residency.owner import OwnerSettings
from services.variants import find_variant

PROBE_TIMEOUT_S = 10.0
DISTRIBUTION = "assay"


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """Where the variants are: ``base_url`` is the service itself, seen from inside.

    ``places`` bounds the requests that are open at once, the reading of their bodies included.
    Where not all variants are awake at once, ``residency`` says what each needs.
    """

    base_url: str
    variants: tuple[str, ...]
    request_timeout_s: float
    places: int
    max_body_bytes: int = MAX_BODY_BYTES
    access_log: str | None = None
    key_digests: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    residency: OwnerSettings | None = None


def choose_variant(body: bytes, variants: tuple[str, ...]) -> str:
    """The variant a request asks for by its ``model``.

    Raises:
        RequestError: 400 for a body that is no JSON object or names no model, 404 for an unknown
            one, with the valid names.
    """
    model = parse_object(body).get("model")
    if not isinstance(model, str):
        raise RequestError(400, "the request names no model", param="model")
    check_model(model, variants)
    return model


def check_model(model: str, variants: tuple[str, ...]) -> None:
    """Hold a model's name against the variants.

    Raises:
        RequestError: 404 for an unknown one, with the valid names.
    """
    if model not in variants:
        near = get_close_matches(model, variants, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        names = ", ".join(variants)
        message = f"unknown model {model!r}{hint} (valid: {names})"
        raise RequestError(404, message, param="model", code=MODEL_NOT_FOUND)


def _authorization(headers: Headers) -> dict[str, str]:
    """The caller's own key, for the request that is made for it."""
    given = header(headers, b"authorization")
    return {} if given is None else {"authorization": given}


def _described(variant: str, health: str) -> dict[str, Any]:
    """What a variant's ``/healthz`` told; it is stopped where something else answered for it.

    Then there is no replica: Serve has not started one yet, or is about to replace it, and what
    stands before it answers with an error of its own.
    """
    try:
        told = json.loads(health)
    except ValueError:
        told = None
    if isinstance(told, dict) and "state" in told:
        return told
    return {"variant": variant, "state": State.STOPPED, "reason": health or None}


def _takes_requests(state: str) -> bool:
    return state in set(State) and State(state).takes_requests


class GatewayApp:
    """The ASGI app at ``/``."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self._log = AccessLog(Path(settings.access_log) if settings.access_log else None)
        self._front = Front(
            name="gateway",
            keyring=Keyring(digests=settings.key_digests),
            log=self._log,
            handle=self._handle,
        )
        self._answer = CrossOrigin(self._front.answer, origins=settings.cors_origins)
        self._admission = Admission("gateway", settings.places)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request (or run the app's life span)."""
        if scope["type"] == "lifespan":
            return await live(receive, send, begin=self._begin, end=self._end)
        return await self._answer(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send, path: str) -> int | None:
        if path == TARGETS_PATH:
            address = self.settings.base_url.partition("//")[2]
            found = targets(scope["headers"], self.settings.variants, address)
            await send_response(send, 200, JSON, json.dumps(found).encode())
            return None
        route = find_route(path)
        if route is None:
            names = ", ".join(f"/{name}/v1" for name in self.settings.variants)
            raise no_route(path, f"; the variants are at {names}")
        check_method(route, scope["method"], path)
        if route.engine_path is not None:
            return await self._route(scope, receive, send, route)
        status, kind, body = await self._tell(path, _authorization(scope["headers"]))
        await send_response(send, status, kind, body)
        return None

    async def _tell(
        self, path: str, caller: dict[str, str]
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, content type and body of what no engine answers."""
        variants = self.settings.variants
        content: dict[str, Any]
        match path:
            case "/metrics":
                texts = await self._ask_all("/metrics", caller, variants)
                told = [text for status, text in texts.values() if status == 200]
                return 200, EXPOSITION, merge_expositions(told)
            case "/version":
                content = {"version": version(DISTRIBUTION), "engine": DISTRIBUTION}
            case "/models":
                health = await self._describe_all(caller, variants)
                entries = [model_entry(find_variant(name), told) for name, told in health.items()]
                content = {"object": "list", "data": entries}
            case "/healthz" | "/health" | "/ping":
                health = await self._describe_all(caller, variants)
                states = {name: told["state"] for name, told in health.items()}
                ready = all(_takes_requests(state) for state in states.values())
                content = {"ready": ready}
                content |= {"variants": health} if path == "/healthz" else {"states": states}
                return 200 if ready else 503, JSON, json.dumps(content).encode()
            case _:
                model = model_of(path)
                check_model(model, variants)
                health = await self._describe_all(caller, (model,))
                content = model_entry(find_variant(model), health[model])
        return 200, JSON, json.dumps(content).encode()

    async def _begin(self) -> None:
        self._session = open_session()
        self._relay = Relay(self._session, self.settings.request_timeout_s)

    async def _end(self) -> None:
        if self._session is not None:
            await self._session.close()
        self._log.close()

    async def _route(self, scope: Scope, receive: Receive, send: Send, route: Route) -> int:
        with self._admission.admit():
            body = await read_body(receive, self.settings.max_body_bytes, scope["headers"])
            variant = choose_variant(body, self.settings.variants)
            return await self._relay.forward(
                scope,
                receive,
                send,
                url=f"{self.settings.base_url}/{variant}{route.engine_path}",
                body=body,
                headers=_authorization(scope["headers"]),
            )

    async def _ask_all(
        self, path: str, caller: dict[str, str], names: tuple[str, ...]
    ) -> dict[str, tuple[int, str]]:
        """GET ``path`` of the named variants at once, with the caller's own key.

        An unreachable one answers (503, "").
        """
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
        session = self._session

        async def ask(name: str) -> tuple[int, str]:
            url = f"{self.settings.base_url}/{name}{path}"
            try:
                async with session.get(url, timeout=timeout, headers=caller) as response:
                    return response.status, await response.text()
            except (aiohttp.ClientError, TimeoutError):
                return 503, ""

        return dict(zip(names, await asyncio.gather(*map(ask, names)), strict=True))

    async def _describe_all(
        self, caller: dict[str, str], names: tuple[str, ...]
    ) -> dict[str, dict[str, Any]]:
        answers = await self._ask_all("/healthz", caller, names)
        return {name: _described(name, text) for name, (_status, text) in answers.items()}
