"""One streamed completion: the request's body, and what its stream of events tells.

Pure but for the two callables that are passed in (a reader of pieces and a clock), so that the
timing rules are tested without a network. A stream is kept as it comes and read afterwards: to read
an event takes longer than to keep it, and the streams whose events came with it would be seen late.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.http.sse import SseParser
from services.http.stream_chunk import (
    StreamChoice,
    StreamError,
    error_message,
    is_done,
    read_chunk,
)

# What an error event holds; within a text its quotation marks would be escaped.
_ERROR_FIELD = b'"error":'
_END_MARK = b"[DONE]"
# The end mark, an empty line and the body's end may come apart.
_LAST_PIECES = 4
# A piece in memory besides its bytes: two objects, the pair of them and its place in the list.
_PIECE_BYTES = 120


@dataclass(kw_only=True)
class Reading:
    """What was read of a stream so far; times in seconds of the caller's clock.

    ``first_answer_s`` is the first token that is no reasoning, ``thoughts`` are chunks that held
    reasoning alone; ``gaps_s`` lie between two chunks with tokens, ``written`` is the text of the
    answer, piece by piece, ``finish`` why it ended. ``stray`` is what came that is no part of an
    event stream.
    """

    first_token_s: float | None = None
    first_answer_s: float | None = None
    last_token_s: float | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0
    chunks: int = 0
    thoughts: int = 0
    gaps_s: list[float] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    finish: str | None = None
    done: bool = False
    stray: str = ""

    @property
    def max_gap_s(self) -> float | None:
        """The longest gap; None of less than two chunks."""
        return max(self.gaps_s, default=None)


def request_body(
    model: str, prompt: Sequence[int], output_tokens: int, *, exact: bool = True
) -> bytes:
    """The body of ``POST /v1/completions``: ids in, ``output_tokens`` streamed out.

    Not ``exact``: as many at most, as the model ends its answer itself.
    """
    body: dict[str, Any] = {
        "model": model,
        "prompt": list(prompt),
        "max_tokens": output_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if exact:
        body["ignore_eos"] = True
    return json.dumps(body, separators=(",", ":")).encode()


class KeptStream:
    """A stream that is kept as it comes, each piece with its time (s), and read later as if then.

    ``wait`` blocks until another piece was taken, and returns False where none will come.
    """

    def __init__(self, wait: Callable[[], bool] = lambda: False) -> None:
        self._wait = wait
        self._kept: list[tuple[float, bytes]] = []
        self._read = 0

    def take(self, at_s: float, piece: bytes) -> bool:
        """Keep a piece; returns whether it may tell an error.

        An error may be all that comes for a long time, so it is to be read at once; what follows
        it is then read as it comes.
        """
        self._kept.append((at_s, piece))
        return _ERROR_FIELD in piece

    def close(self) -> None:
        """Let go of the live stream, where it has ended in whatever way."""
        self._wait = lambda: False

    @property
    def ended_well(self) -> bool:
        """Whether its last pieces hold the mark that ends a stream."""
        return _END_MARK in b"".join(piece for _, piece in self._kept[-_LAST_PIECES:])

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return sum(len(piece) + _PIECE_BYTES for _, piece in self._kept)

    def piece(self) -> bytes:
        """The next piece, of those that were kept and then of the live stream."""
        while self._read == len(self._kept):
            if not self._wait():
                return b""
        self._read += 1
        return self._kept[self._read - 1][1]

    def rest(self) -> bytes:
        """All pieces that are still to be read, to the end of the stream."""
        return b"".join(iter(self.piece, b""))

    def time(self) -> float:
        """When the last piece that was read had come."""
        return self._kept[self._read - 1][0]


def read_stream(
    reading: Reading, read_piece: Callable[[], bytes], clock: Callable[[], float]
) -> None:
    """Read the events of one completion into ``reading``, to the end of the body.

    ``read_piece`` returns bytes, split anywhere (b"" at the end of the body), and blocks until
    they are there; the clock is read as soon as it returns. Reading on after ``[DONE]`` frees the
    connection for the next request. ``reading`` keeps what came before a failure.

    Raises:
        StreamError: an error event, or an event that is no chunk of an answer.
    """
    parser = SseParser()
    while piece := read_piece():
        now = clock()
        for data in parser.feed(piece):
            if is_done(data):
                reading.done = True
            else:
                _take_event(reading, data, now)
    reading.stray = error_message(parser.stray())


def _take_event(reading: Reading, data: bytes, now: float) -> None:
    chunk = read_chunk(data)
    if chunk.error is not None:
        raise StreamError(f"error in the stream: {error_message(data)}")
    for choice in chunk.choices or ():
        _take_choice(reading, choice, now)
    if chunk.usage is not None:
        reading.prompt_tokens = chunk.usage.prompt_tokens
        reading.output_tokens = chunk.usage.completion_tokens


def _take_choice(reading: Reading, choice: StreamChoice, now: float) -> None:
    """Time one choice.

    The first token is the first non-empty text, of reasoning too (AIPerf's definition: a role-only
    or empty chunk is none). After it an empty text that ends nothing still carries a token: a
    control token, or a piece of an unfinished character; without it TPOT would stop at the last
    visible letter.
    """
    reading.finish = choice.finish_reason or reading.finish
    said = choice.written or choice.thought
    if not said and (choice.finish_reason is not None or reading.first_token_s is None):
        return
    if reading.last_token_s is None:
        reading.first_token_s = now
    else:
        reading.gaps_s.append(now - reading.last_token_s)
    reading.last_token_s = now
    reading.chunks += 1
    if choice.written:
        reading.written.append(choice.written)
        reading.first_answer_s = reading.first_answer_s or now
    elif choice.thought:
        reading.thoughts += 1


def fault(
    reading: Reading, *, prompt_tokens: int, output_tokens: int, exact: bool = True
) -> str | None:
    """Why a stream that was read without an exception still is an error; None: it is right.

    The other arguments are what was asked for, as in ``request_body``.
    """
    if not reading.done:
        said = f"; the server said: {reading.stray}" if reading.stray else ""
        return f"the stream ended before [DONE], after {reading.chunks} chunks{said}"
    if reading.output_tokens == 0 and (exact or reading.finish != "stop"):
        return "the stream has no usage, or a usage without output tokens"
    if exact and reading.output_tokens != output_tokens:
        return (
            f"{reading.output_tokens} output tokens where {output_tokens} were forced: "
            "ignore_eos or max_tokens was taken and not obeyed"
        )
    if reading.output_tokens > output_tokens:
        return f"{reading.output_tokens} output tokens where {output_tokens} are the most"
    if reading.prompt_tokens != prompt_tokens:
        return f"the server counted {reading.prompt_tokens} prompt tokens of {prompt_tokens} sent"
    if reading.first_answer_s is None and (exact or reading.thoughts):
        thoughts = f" ({reading.thoughts} held reasoning)" if reading.thoughts else ""
        return f"no chunk had any text{thoughts}"
    return None
