"""The request's body: read within a limit, and held against what no engine could do."""

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from services.http.asgi import Headers, Receive
from services.http.errors import TOO_LONG, RequestError

MAX_BODY_BYTES = 16 * 2**20
BODY_TIMEOUT_S = 60.0
# Both names of the same limit; chat completions took the second one later.
_TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")


async def read_body(receive: Receive, limit: int = MAX_BODY_BYTES, headers: Headers = ()) -> bytes:
    """The whole request body.

    Raises:
        RequestError: 415 when its headers say that it is encoded; 413 when it exceeds ``limit``
            bytes, or says so in its headers; 408 when it does not come: it holds a place meanwhile.
        ConnectionResetError: the client left before it was complete.
    """
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            encoding = value.decode("latin-1")
            message = f"Content-Encoding {encoding} is not supported: send the body as plain JSON"
            raise RequestError(415, message)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _read(receive, limit)
    except TimeoutError:
        message = f"the request body did not come within {BODY_TIMEOUT_S:.0f} s"
        raise RequestError(408, message) from None


async def _read(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("client left")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large(limit: int) -> RequestError:
    return RequestError(413, f"the request body exceeds {limit} bytes (serving.max_body_bytes)")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is, read strictly (RFC 8259).

    Engines' own parsers take NaN, halves of surrogate pairs or a thousand lists in each other, and
    fail on them later, as a server error. Here they are the client's mistake.

    Raises:
        RequestError: 400 for anything else, with the place.
    """
    try:
        content = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise RequestError(400, f"the request body is no valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise RequestError(400, "the request body is no JSON object")
    return content


def check_tokens(content: dict[str, Any], context_length: int) -> None:
    """Refuse what exceeds the context whatever the engine; it judges all else itself.

    Raises:
        RequestError: 400 that names the field, the value and the limit.
    """
    prompt = content.get("prompt")
    ids = len(prompt) if isinstance(prompt, list) and _is_id(prompt[:1]) else 0
    if ids > context_length:
        message = f"the prompt has {ids} tokens, the context holds {context_length}"
        raise RequestError(400, message, param="prompt", code=TOO_LONG)
    for name in _TOKEN_LIMITS:
        asked = content.get(name)
        if isinstance(asked, int) and ids + asked > context_length:
            prompt_part = f" and a prompt of {ids} tokens" if ids else ""
            message = f"{name} = {asked}{prompt_part} exceeds the context of {context_length}"
            message = f"{message} tokens (serving.context_length)"
            raise RequestError(400, message, param=name, code=TOO_LONG)


def check_refused(content: dict[str, Any], refused: Mapping[tuple[str, ...], str]) -> None:
    """Refuse what an engine is not to be asked (``EngineSpec.refuses``).

    Raises:
        RequestError: 400 that names the field and the reason.
    """
    for path, reason in refused.items():
        place: object = content
        for name in path:
            place = place.get(name) if isinstance(place, dict) else None
        if place is not None:
            raise RequestError(400, f"{'.'.join(path)}: {reason}", param=path[0])


def _is_id(first: list[object]) -> bool:
    """Whether a list that begins so is one prompt of token ids, and no list of prompts."""
    return bool(first) and isinstance(first[0], int)
