"""Text to token ids and back over HTTP, in vLLM's shapes.

Source: ``vllm/entrypoints/serve/tokenize/protocol.py`` (0.32).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.http.errors import RequestError
from services.http.request_body import parse_object
from services.server.backend import Backend
from services.server.chat_template import ChatTemplate
from services.server.prompt_reader import PromptReader
from services.server.protocol import ChatBody, Message, StrictBody, parse_body
from services.server.token_text import TokenText


class TokenizeBody(StrictBody):
    """``POST /tokenize`` of a prompt, as completions read it."""

    prompt: str
    model: str | None = None
    add_special_tokens: bool | None = None
    # The names of tokens in the vocabulary, which not every backend knows.
    return_token_strs: Literal[False] | None = None


class TokenizeChatBody(StrictBody):
    """The same of messages, as chat completions read them."""

    route = "chat"

    messages: Annotated[list[Message], Field(min_length=1)]
    model: str | None = None
    add_special_tokens: bool | None = None
    return_token_strs: Literal[False] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    chat_template_kwargs: dict[str, Any] | None = None

    def chat(self) -> ChatBody:
        """The chat that these are the messages of."""
        shared = set(TokenizeChatBody.model_fields) & set(ChatBody.model_fields) - {"model"}
        return ChatBody.model_construct(model="", **{name: getattr(self, name) for name in shared})


class DetokenizeBody(StrictBody):
    """``POST /detokenize``."""

    tokens: list[Annotated[int, Field(ge=0)]]
    model: str | None = None


class TokenRoutes:
    """The two routes; ``check_model`` refuses what is not served, ``read`` reads a body."""

    def __init__(
        self,
        backend: Backend,
        template: ChatTemplate,
        check_model: Callable[[str], None],
        read: Callable[[Request], Awaitable[bytes]],
    ) -> None:
        self._backend = backend
        self._template = template
        self._check_model, self._read = check_model, read
        self._prompts = PromptReader(backend)
        self._text = TokenText(backend)

    async def tokenize(self, request: Request) -> Response:
        """Token ids of a text; of messages as their template writes them."""
        raw = await self._read(request)
        is_chat = "messages" in parse_object(raw)
        body = parse_body(TokenizeChatBody, raw) if is_chat else parse_body(TokenizeBody, raw)
        if body.model is not None:
            self._check_model(body.model)
        text = (
            self._template.render(body.chat())
            if isinstance(body, TokenizeChatBody)
            else body.prompt
        )
        # A template writes its special tokens itself.
        add_special = not is_chat if body.add_special_tokens is None else body.add_special_tokens
        tokens = await self._prompts.tokens(text, add_special=add_special)
        length = self._backend.capacity.context_length
        return JSONResponse(
            {"count": len(tokens), "max_model_len": length, "tokens": tokens, "token_strs": None}
        )

    async def detokenize(self, request: Request) -> Response:
        """The text of token ids, control tokens among them."""
        body = parse_body(DetokenizeBody, await self._read(request))
        if body.model is not None:
            self._check_model(body.model)
        vocab_size = self._backend.capacity.vocab_size
        if max(body.tokens, default=0) >= vocab_size:
            message = f"tokens: token ids must be in 0 to {vocab_size - 1}"
            raise RequestError(400, message, param="tokens")
        text = await asyncio.to_thread(self._text.prompt, body.tokens, special=True)
        return JSONResponse({"prompt": text})
