"""One event of an OpenAI stream: what it adds to an answer, read alike for every engine.

Whatever of ours reads streams (the load test, the metrics of the relay, the self-test) reads their
events here, so that all mean the same by a first token. Pydantic keeps what is not of the expected
shape from going any further.
"""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

DONE = b"[DONE]"
# More tokens no request has; what counts them so, counts nothing.
MOST_TOKENS = 1 << 31
_LONGEST_SHOWN = 80
_LONGEST_REASON = 300


class StreamError(ValueError):
    """A stream that is not what was asked for; the message is the reason."""


class _Part(BaseModel):
    # Servers add fields of their own, which change nothing here.
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Delta(_Part):
    """What an event adds to a chat's message.

    What a model thinks before it answers is ``reasoning``, or ``reasoning_content`` with older
    servers.
    """

    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Any] | None = None


class StreamChoice(_Part):
    """What an event adds to one choice: of a completion ``text``, of a chat a ``delta``."""

    text: str | None = None
    delta: Delta | None = None
    finish_reason: str | None = None

    @property
    def written(self) -> str:
        """The text of the answer itself."""
        return self.text or (self.delta and self.delta.content) or ""

    @property
    def thought(self) -> str:
        """The text of the reasoning before the answer."""
        return (self.delta and (self.delta.reasoning or self.delta.reasoning_content)) or ""

    @property
    def has_tokens(self) -> bool:
        """Whether there is anything that the model said; a role alone, or an empty text, is not."""
        return bool(self.written or self.thought or (self.delta and self.delta.tool_calls))


class StreamUsage(_Part):
    """The tokens of the request; in the last event, or so far in every one."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def is_possible(self) -> bool:
        """Whether a request can have had so many tokens."""
        return all(0 <= it <= MOST_TOKENS for it in (self.prompt_tokens, self.completion_tokens))


class StreamChunk(_Part):
    """The event as a whole. ``error`` is a failure after the answer had begun.

    A usage that no request can have is none.
    """

    choices: list[StreamChoice] | None = None
    usage: StreamUsage | None = None
    error: Any = None

    @field_validator("usage")
    @classmethod
    def _possible(cls, usage: StreamUsage | None) -> StreamUsage | None:
        return usage if usage is not None and usage.is_possible else None

    @property
    def has_tokens(self) -> bool:
        """Whether any choice says anything."""
        return any(choice.has_tokens for choice in self.choices or ())


def is_done(data: bytes) -> bool:
    """Whether an event's data is the mark that ends a stream."""
    return data.strip() == DONE


def read_chunk(data: bytes) -> StreamChunk:
    """Read the data of one event (not of the end mark).

    Raises:
        StreamError: it is no JSON object of the shape that OpenAI's reference gives.
    """
    try:
        return StreamChunk.model_validate_json(data)
    except ValidationError as failure:
        first = failure.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        told = f"{where}: {first['msg']}" if where else "no JSON object"
        raise StreamError(
            f"an event is no chunk of an answer ({told}): {data[:_LONGEST_SHOWN]!r}"
        ) from None


def error_message(body: bytes) -> str:
    """The message of an OpenAI error body (``{"error": {"message": ...}}``), or its raw text."""
    try:
        content = json.loads(body)
        error = content["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError, RecursionError):
        message = body.decode("utf-8", "replace")
    return " ".join(str(message).split())[:_LONGEST_REASON]
