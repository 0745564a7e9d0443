"""One streamed completion: the request's body, and what its stream of events tells.

Pure but for the two callables that are passed in (a line reader and a clock), so that the timing
rules are tested without a network.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.sse import SseParser

DONE = b"[DONE]"
_LONGEST_REASON = 300


class StreamError(ValueError):
    """The stream is not what was asked for; the message is the reason kept in the record."""


@dataclass(kw_only=True)
class Reading:
    """What was read of a stream so far; times in seconds of the caller's clock."""

    first_token_s: float | None = None
    last_token_s: float | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0
    chunks: int = 0
    max_gap_s: float | None = None
    done: bool = False


def request_body(model: str, prompt: Sequence[int], output_tokens: int) -> bytes:
    """The body of ``POST /v1/completions``: ids in, exactly ``output_tokens`` streamed out."""
    body = {
        "model": model,
        "prompt": list(prompt),
        "max_tokens": output_tokens,
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return json.dumps(body, separators=(",", ":")).encode()


def read_stream(
    reading: Reading, read_line: Callable[[], bytes], clock: Callable[[], float]
) -> None:
    """Read the events of one completion into ``reading``, to the end of the body.

    ``read_line`` returns bytes up to a line feed (b"" at the end of the body) and blocks until
    they are there; the clock is read as soon as it returns. Reading on after ``[DONE]`` frees the
    connection for the next request. ``reading`` keeps what came before a failure.

    Raises:
        StreamError: an error event, or an event that is no JSON object.
    """
    parser = SseParser()
    while line := read_line():
        now = clock()
        for data in parser.feed(line):
            if data == DONE:
                reading.done = True
            else:
                _take_event(reading, data, now)


def _take_event(reading: Reading, data: bytes, now: float) -> None:
    try:
        event = json.loads(data)
        error = event.get("error")
        choices = event.get("choices") or []
        usage = event.get("usage")
    except (ValueError, AttributeError):
        raise StreamError(f"an event is no JSON object: {data[:80]!r}") from None
    if error is not None:
        raise StreamError(f"error in the stream: {error_message(data)}")
    for choice in choices:
        _take_choice(reading, choice, now)
    if usage:
        reading.prompt_tokens = usage.get("prompt_tokens", 0)
        reading.output_tokens = usage.get("completion_tokens", 0)


def _take_choice(reading: Reading, choice: dict[str, object], now: float) -> None:
    """Time one choice.

    The first token is the first non-empty text (AIPerf's definition: a role-only or empty chunk
    is none). After it an empty text that ends nothing still carries a token: a control token, or
    a piece of an unfinished character; without it TPOT would stop at the last visible letter.
    """
    text, ends = choice.get("text"), choice.get("finish_reason") is not None
    if not text and (ends or reading.first_token_s is None):
        return
    if reading.last_token_s is None:
        reading.first_token_s = now
    else:
        gap = now - reading.last_token_s
        reading.max_gap_s = gap if reading.max_gap_s is None else max(reading.max_gap_s, gap)
    reading.last_token_s = now
    reading.chunks += 1


def fault(reading: Reading, *, prompt_tokens: int, output_tokens: int) -> str | None:
    """Why a stream that was read without an exception still is an error; None: it is right."""
    if not reading.done:
        return f"the stream ended before [DONE], after {reading.chunks} chunks"
    if reading.output_tokens == 0:
        return "the stream has no usage, or a usage without output tokens"
    if reading.output_tokens != output_tokens:
        return f"{reading.output_tokens} output tokens where {output_tokens} were forced"
    if reading.prompt_tokens != prompt_tokens:
        return f"the server counted {reading.prompt_tokens} prompt tokens of {prompt_tokens} sent"
    if reading.first_token_s is None:
        return "no chunk had any text"
    return None


def error_message(body: bytes) -> str:
    """The message of an OpenAI error body (``{"error": {"message": ...}}``), or its raw text."""
    try:
        content = json.loads(body)
        error = content["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        message = body.decode("utf-8", "replace")
    return " ".join(str(message).split())[:_LONGEST_REASON]


def is_openai_error(body: bytes) -> bool:
    """Whether a body (or an event's data) is OpenAI's error JSON with a message and a type."""
    try:
        error = json.loads(body)["error"]
        return all(isinstance(error[key], str) for key in ("message", "type"))
    except (ValueError, KeyError, TypeError):
        return False
