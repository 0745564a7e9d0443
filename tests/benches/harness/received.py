"""What a raw answer holds: pure functions from bytes to token counts."""

import json
from collections.abc import Callable, Sequence

from loadtest.completion import DONE, error_message
from loadtest.sse import SseParser
from tests.benches.harness.closed_loop import Received

_LONGEST_REASON = 120


class AnswerError(ValueError):
    """An answer that is an error, or not what was asked for."""


def count_tokens(
    received: Received, *, stream: bool, asked: int, count: Callable[[str], int]
) -> int:
    """Tokens generated, counted alike for every server.

    All that was asked for where the text was cut off there, and else ``count`` of the text: some
    servers count the end token, and not all tell the usage of a stream.

    Raises:
        AnswerError: an HTTP error, an error event, or an answer that does not say how it ended.
    """
    head, _, body = received.raw.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1]
    if b"transfer-encoding: chunked" in head.lower():
        body = dechunked(body)
    if status != b"200":
        raise AnswerError(f"HTTP {status.decode()}: {error_message(body)[:_LONGEST_REASON]}")
    choices = _streamed_choices(body) if stream else json.loads(body)["choices"]
    reason = next((choice["finish_reason"] for choice in choices[-1:]), None)
    if reason is None:
        raise AnswerError("an answer that does not say how it ended")
    if reason == "length":
        return asked
    return count("".join(choice.get("text") or "" for choice in choices))


def tokens_per_second(answers: Sequence[Received], tokens: int) -> float:
    """Throughput from the first request sent to the last answer read."""
    begun = min(answer.started_s for answer in answers)
    return tokens / (max(answer.ended_s for answer in answers) - begun)


def dechunked(body: bytes) -> bytes:
    """The content of a body in chunks (RFC 9112, section 7.1)."""
    parts = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if not length:
            break
        parts.append(rest[:length])
        body = rest[length + 2 :]
    return b"".join(parts)


def _streamed_choices(body: bytes) -> list[dict[str, str | None]]:
    events = SseParser().feed(body)
    if not events or events[-1] != DONE:
        raise AnswerError("a stream without its end mark")
    choices = []
    for data in events[:-1]:
        event = json.loads(data)
        if "error" in event:
            raise AnswerError(f"error in the stream: {error_message(data)}")
        choices += event["choices"]
    return choices
