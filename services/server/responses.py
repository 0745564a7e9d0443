"""The JSON of answers, whole and streamed, in the shapes of OpenAI's two APIs."""

import json
import time
import uuid
from typing import Protocol

from services.server.generation import Choice
from services.server.sequence import Chunk, GenerationRequest
from services.server.token_text import TokenText

Json = dict[str, object]

# Stands for a text; no text of a model's is as short and holds it.
_PLACE = "\0"


class Shape(Protocol):
    """How one API spells its answers."""

    def whole(self, choices: list[Choice], usage: Json) -> Json:
        """The body of a response that is not streamed."""
        ...

    def opening(self) -> list[Json]:
        """Events sent before the first chunk."""
        ...

    def event(self, index: int, chunk: Chunk) -> Json:
        """One streamed event of one choice."""
        ...

    def usage_event(self, usage: Json) -> Json:
        """The event that ends a stream with ``include_usage``."""
        ...


class EventLines:
    """A stream's events as bytes.

    Most are text and nothing else: of those all but the text is written once.
    """

    def __init__(self, shape: Shape, requests: list[GenerationRequest]) -> None:
        self._shape = shape
        self._requests = requests
        self._frames: dict[int, tuple[bytes, bytes]] = {}

    def line(self, index: int, chunk: Chunk) -> bytes:
        """A choice's next event, which is the shape's own as server-sent event."""
        frame = self._frames.get(index)
        if frame is None or chunk.finish_reason is not None:
            event = sse(self._shape.event(index, chunk))
            if frame is None and self._requests[index].logprobs is None:
                # The first event may be another's like: a completion's brings what is echoed.
                self._frames[index] = self._frame(index)
            return event
        return b"%b%b%b" % (frame[0], json.dumps(chunk.text).encode(), frame[1])

    def _frame(self, index: int) -> tuple[bytes, bytes]:
        """What stands before and after the text; choices come last in an event."""
        event = sse(self._shape.event(index, Chunk(_PLACE, [])))
        before, _, after = event.rpartition(json.dumps(_PLACE).encode())
        return before, after


class CompletionShape:
    """``/v1/completions``: text, with the prompt before it if ``echo``."""

    def __init__(
        self,
        model: str,
        text: TokenText,
        requests: list[GenerationRequest],
        echo: list[str] | None,
        *,
        as_ids: bool = False,
    ) -> None:
        self._frame = _frame("cmpl", "text_completion", model)
        self._as_ids = as_ids
        self._text = text
        self._requests = requests
        self._echo = echo
        self._offsets = [0] * len(requests)
        self._begun = [False] * len(requests)

    def whole(self, choices: list[Choice], usage: Json) -> Json:
        """All choices with the usage."""
        entries = [
            self._entry(
                choice.index,
                Chunk(
                    choice.text,
                    choice.tokens,
                    choice.scores,
                    choice.prompt_scores,
                    choice.finish_reason,
                ),
            )
            for choice in choices
        ]
        return {**self._frame, "choices": entries, "usage": usage}

    def opening(self) -> list[Json]:
        """Nothing: completions begin with text."""
        return []

    def event(self, index: int, chunk: Chunk) -> Json:
        """A piece of text; the echoed prompt comes with the first."""
        return {**self._frame, "choices": [self._entry(index, chunk)]}

    def usage_event(self, usage: Json) -> Json:
        """No choices, only usage."""
        return {**self._frame, "choices": [], "usage": usage}

    def _entry(self, index: int, chunk: Chunk) -> Json:
        request = self._requests[index]
        echoes = self._echo is not None and not self._begun[index]
        self._begun[index] = True
        text = (self._echo[index] if self._echo is not None and echoes else "") + chunk.text
        return {
            "index": index,
            "text": text,
            "logprobs": None
            if request.logprobs is None
            else self._logprobs(index, chunk, request.prompt if echoes else []),
            "finish_reason": chunk.finish_reason,
        }

    def _logprobs(self, index: int, chunk: Chunk, prompt: list[int]) -> Json:
        """Scores of the prompt, where it is echoed, and of the chunk's tokens after it."""
        merged: dict[str, list[object]] = {}
        for tokens, scores, unscored in (
            (prompt, chunk.prompt_scores, min(1, len(prompt))),
            (chunk.tokens, chunk.scores, 0),
        ):
            part = self._text.completion_logprobs(
                tokens, scores, self._offsets[index], unscored, as_ids=self._as_ids
            )
            self._offsets[index] += sum(len(self._text.token(token)) for token in tokens)
            for key, values in part.items():
                merged.setdefault(key, []).extend(values)
        return {**merged}


class ChatShape:
    """``/v1/chat/completions``: messages of the assistant."""

    def __init__(self, model: str, text: TokenText, requests: list[GenerationRequest]) -> None:
        self._id = _frame("chatcmpl", "chat.completion", model)
        self._events = {**self._id, "object": "chat.completion.chunk"}
        self._text = text
        self._requests = requests

    def whole(self, choices: list[Choice], usage: Json) -> Json:
        """All choices with the usage."""
        entries = [
            {
                "index": choice.index,
                "message": {"role": "assistant", "content": choice.text},
                "logprobs": self._text.chat_logprobs(choice.tokens, choice.scores)
                if self._requests[choice.index].logprobs is not None
                else None,
                "finish_reason": choice.finish_reason,
            }
            for choice in choices
        ]
        return {**self._id, "choices": entries, "usage": usage}

    def opening(self) -> list[Json]:
        """One event per choice that names the role."""
        delta = {"role": "assistant", "content": ""}
        return [
            {
                **self._events,
                "choices": [{"index": i, "delta": delta, "logprobs": None, "finish_reason": None}],
            }
            for i in range(len(self._requests))
        ]

    def event(self, index: int, chunk: Chunk) -> Json:
        """A piece of content."""
        scored = self._requests[index].logprobs is not None
        entry: Json = {
            "index": index,
            "delta": {"content": chunk.text},
            "logprobs": self._text.chat_logprobs(chunk.tokens, chunk.scores) if scored else None,
            "finish_reason": chunk.finish_reason,
        }
        return {**self._events, "choices": [entry]}

    def usage_event(self, usage: Json) -> Json:
        """No choices, only usage."""
        return {**self._events, "choices": [], "usage": usage}


def usage(prompt_tokens: int, completion_tokens: int) -> Json:
    """Token counts; a prompt asked ``n`` times counts once."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def sse(event: Json) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


def _frame(prefix: str, kind: str, model: str) -> Json:
    return {
        "id": f"{prefix}-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }
