"""What a raw answer holds, read when the clock has stopped: pure functions of its bytes."""

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from services.http.sse import SseParser
from services.http.stream_chunk import DONE, error_message

HEAD_END = b"\r\n\r\n"
_EVENT_END = b"\n\n"
_LONGEST_REASON = 120


class AnswerError(ValueError):
    """An answer that is an error, or not what was asked for."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """One answer as it came, with its head, whole or as far as it came.

    ``first_s`` is when its first body bytes came (0 where none did), ``pieces`` are time and size
    of every read.
    """

    raw: bytes
    started_s: float
    first_s: float
    ended_s: float
    pieces: tuple[tuple[float, int], ...] = ()

    @cached_property
    def status(self) -> int:
        """The HTTP status; 0 where no head came."""
        return int(self.raw.split(b" ", 2)[1]) if HEAD_END in self.raw else 0

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in lower case."""
        lines = self.raw.partition(HEAD_END)[0].decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return {name.lower(): value.strip() for name, _, value in pairs}

    @cached_property
    def content(self) -> bytes:
        """The body, out of its chunks."""
        return b"".join(self.raw[start:end] for start, end in self._spans)

    @cached_property
    def events(self) -> list[bytes]:
        """The data of all server-sent events, ``[DONE]`` among them."""
        return SseParser().feed(self.content)

    @cached_property
    def event_times(self) -> list[float]:
        """When the last byte of each event came; events end with an empty line of one LF."""
        sizes = list(accumulate(end - start for start, end in self._spans))
        arrived = list(accumulate(size for _, size in self.pieces))
        times, place = [], self.content.find(_EVENT_END)
        while place >= 0:
            last = place + len(_EVENT_END)
            span = bisect_left(sizes, last)
            raw_last = self._spans[span][1] - (sizes[span] - last)
            times.append(self.pieces[bisect_left(arrived, raw_last)][0])
            place = self.content.find(_EVENT_END, last)
        return times

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        """Where in ``raw`` the body's bytes lie."""
        head, _, body = self.raw.partition(HEAD_END)
        begin = len(self.raw) - len(body)
        if b"transfer-encoding: chunked" in head.lower():
            return chunk_spans(self.raw, begin)
        return [(begin, len(self.raw))] if body else []


def chunk_spans(raw: bytes, begin: int) -> list[tuple[int, int]]:
    """Where the data of a body in chunks lie that begins at ``begin`` (RFC 9112, section 7.1)."""
    spans = []
    while (line_end := raw.find(b"\r\n", begin)) >= 0:
        length = int(raw[begin:line_end].split(b";")[0], 16)
        if not length:
            break
        start = line_end + 2
        spans.append((start, min(start + length, len(raw))))
        begin = start + length + 2
    return spans


def count_tokens(
    received: Received, *, stream: bool, asked: int, count: Callable[[str], int]
) -> int:
    """Tokens generated, counted alike for every server.

    All that was asked for where the text was cut off there, and else ``count`` of the text: some
    servers count the end token, and not all tell the usage of a stream.

    Raises:
        AnswerError: an HTTP error, an error event, or an answer that does not say how it ended.
    """
    if received.status != 200:
        told = error_message(received.content)[:_LONGEST_REASON]
        raise AnswerError(f"HTTP {received.status}: {told}")
    if stream:
        choices = _streamed_choices(received.events)
    else:
        choices = json.loads(received.content)["choices"]
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


def _streamed_choices(events: Sequence[bytes]) -> list[dict[str, str | None]]:
    if not events or events[-1] != DONE:
        raise AnswerError("a stream without its end mark")
    choices = []
    for data in events[:-1]:
        event = json.loads(data)
        if "error" in event:
            raise AnswerError(f"error in the stream: {error_message(data)}")
        choices += event["choices"]
    return choices
