"""The HTTP routes: OpenAI's API, and what the supervisor asks (health, weights, metrics)."""

import dataclasses
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.http.errors import MODEL_NOT_FOUND, RequestError
from services.http.routes import ROUTES
from services.server.answer import GenerationResponse, error_response
from services.server.backend import Backend
from services.server.chat_template import ChatTemplate
from services.server.generation import (
    DEFAULT_COMPLETION_TOKENS,
    Generation,
    Scoring,
    plan_requests,
)
from services.server.metrics import EngineMetrics
from services.server.prompt_reader import PromptReader
from services.server.protocol import ChatBody, CompletionBody, parse_body
from services.server.responses import ChatShape, CompletionShape
from services.server.scheduler import Scheduler
from services.server.sequence import GenerationRequest
from services.server.token_routes import TokenRoutes
from services.server.token_text import TokenText

_MAX_BODY_BYTES = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What the routes work on."""

    backend: Backend
    scheduler: Scheduler
    served_name: str
    chat_template: ChatTemplate
    started_at: int = dataclasses.field(default_factory=lambda: int(time.time()))


class _Routes:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._text = TokenText(engine.backend)
        self._prompts = PromptReader(engine.backend)
        capacity = engine.backend.capacity
        tokens = TokenRoutes(engine.backend, engine.chat_template, self._check_model, _read)
        # What the table of routes says that an engine answers.
        self.answers: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/v1/completions": self.completions,
            "/v1/chat/completions": self.chat_completions,
            "/tokenize": tokens.tokenize,
            "/detokenize": tokens.detokenize,
        }
        self._metrics = EngineMetrics(
            engine.scheduler, capacity.context_length * capacity.max_sequences
        )

    async def health(self, _: Request) -> Response:
        if not self._engine.scheduler.alive:
            raise RequestError(503, "the engine has stopped")
        return JSONResponse({"status": "ok"})

    async def models(self, _: Request) -> Response:
        entry = {
            "id": self._engine.served_name,
            "object": "model",
            "created": self._engine.started_at,
            "owned_by": "assay",
            "max_model_len": self._engine.backend.capacity.context_length,
        }
        return JSONResponse({"object": "list", "data": [entry]})

    async def completions(self, request: Request) -> Response:
        body = parse_body(CompletionBody, await _read(request))
        self._check_model(body.model)
        prompts = [
            await self._prompts.prompt(prompt, field="prompt", add_special=body.add_special_tokens)
            if isinstance(prompt, str)
            else prompt
            for prompt in body.prompts()
        ]
        echo = bool(body.echo)
        requests = plan_requests(
            self._engine.backend,
            body,
            prompts,
            _limit(body.max_tokens),
            Scoring(logprobs=body.logprobs, prompt_logprobs=body.logprobs if echo else None),
        )
        texts = [
            prompt if isinstance(prompt, str) else self._text.prompt(prompt)
            for prompt in (body.prompts() if echo else ())
            for _ in range(body.n or 1)
        ]
        shape = CompletionShape(
            body.model,
            self._text,
            requests,
            texts if echo else None,
            as_ids=bool(body.return_tokens_as_token_ids),
        )
        return self._answer(body, requests, shape)

    async def chat_completions(self, request: Request) -> Response:
        body = parse_body(ChatBody, await _read(request))
        self._check_model(body.model)
        text = self._engine.chat_template.render(body)
        prompt = await self._prompts.prompt(text, field="messages", add_special=False)
        limit = body.max_completion_tokens or body.max_tokens
        scoring = Scoring(logprobs=body.score_count())
        requests = plan_requests(self._engine.backend, body, [prompt], limit, scoring)
        return self._answer(body, requests, ChatShape(body.model, self._text, requests))

    async def metrics(self, _: Request) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def weights(self, _: Request) -> Response:
        return JSONResponse(dataclasses.asdict(self._engine.backend.weights()))

    def _answer(
        self,
        body: CompletionBody | ChatBody,
        requests: list[GenerationRequest],
        shape: CompletionShape | ChatShape,
    ) -> Response:
        generation = Generation(requests)
        generation.start(self._engine.scheduler)
        return GenerationResponse(
            generation,
            shape,
            stream=bool(body.stream),
            usage_options=body.usage_options(),
            choices_per_prompt=body.n or 1,
        )

    def _check_model(self, model: str) -> None:
        if model != self._engine.served_name:
            raise RequestError(
                404,
                f"model: {model!r} is not served here (valid: {self._engine.served_name!r})",
                param="model",
                code=MODEL_NOT_FOUND,
            )


class _KeyCheck:
    """Bearer key on every route but health, compared in constant time."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/health":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                error = RequestError(
                    401, "a valid API key is needed: 'Authorization: Bearer <key>'"
                )
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def make_app(engine: Engine, key: str, on_ready: Callable[[], None]) -> ASGIApp:
    """The application; the engine thread starts and stops with it."""
    routes = _Routes(engine)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        engine.scheduler.start()
        on_ready()
        yield
        engine.scheduler.stop()

    app = Starlette(
        routes=[
            Route("/health", routes.health),
            Route("/v1/models", routes.models),
            *(
                Route(route.engine_path, routes.answers[route.engine_path], methods=route.methods)
                for route in ROUTES
                if route.engine_path is not None
            ),
            Route("/metrics", routes.metrics),
            Route("/weights", routes.weights),
        ],
        exception_handlers={RequestError: _on_request_error, HTTPException: _on_http_error},
        lifespan=lifespan,
    )
    return _KeyCheck(app, key)


def _limit(max_tokens: int | None) -> int | None:
    """A completion's limit: OpenAI's default, or with -1 as many tokens as there is room for."""
    if max_tokens is None:
        return DEFAULT_COMPLETION_TOKENS
    return None if max_tokens == -1 else max_tokens


async def _read(request: Request) -> bytes:
    parts, size_bytes = [], 0
    async for part in request.stream():
        size_bytes += len(part)
        if size_bytes > _MAX_BODY_BYTES:
            raise RequestError(413, f"the body is larger than {_MAX_BODY_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


async def _on_request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_response(error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (unknown path or method) in OpenAI's format."""
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: {request.method} {request.url.path}"
    return error_response(RequestError(error.status_code, message), error.headers)
