"""What came of a request, and whether that was right. Pure."""

import json
from dataclasses import dataclass
from typing import Literal

from loadtest.completion import DONE, error_message, is_openai_error
from loadtest.sse import SseParser
from tests.benches.soak.mix import PlannedRequest

Judgement = Literal["answered", "refused", "left", "unexplained"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One request as it went; times in seconds since the load began.

    ``refused`` is a bad request's due answer, ``left`` a client's own going. Whatever is
    ``unexplained`` says why in ``detail``.
    """

    number: int
    kind: str
    variant: str
    path: str
    judgement: Judgement
    sent_s: float
    first_s: float | None
    end_s: float
    status: int
    output_tokens: int
    detail: str | None = None


class Answer:
    """What is received of an answer, byte by byte."""

    def __init__(self, *, stream: bool) -> None:
        self.status = 0
        self.request_id: str | None = None
        self.first_s: float | None = None
        self._stream = stream
        self._parser = SseParser()
        self._parts: list[bytes] = []
        self._events: list[bytes] = []

    def feed(self, received: bytes, now: float) -> None:
        """Take a piece of the body, received ``now``."""
        if self._stream and self.status == 200:
            events = self._parser.feed(received)
            self._events += events
            arrived = bool(events)
        else:
            self._parts.append(received)
            arrived = bool(received)
        if arrived and self.first_s is None:
            self.first_s = now

    def fault(self, request: PlannedRequest) -> str | None:
        """Why the finished answer is not the right one; None: it is."""
        if self.status not in request.expected:
            return f"status {self.status} instead of {sorted(request.expected)}: {self._told()}"
        if not self.request_id:
            return "the answer has no x-request-id"
        if self.status != 200:
            return None if is_openai_error(self._body()) else f"no OpenAI error: {self._told()}"
        if self._stream and (not self._events or self._events[-1] != DONE):
            return f"the stream does not end with [DONE]: {self._told()}"
        return self._miscount(request)

    def _miscount(self, request: PlannedRequest) -> str | None:
        try:
            counted = self.output_tokens()
        except (ValueError, KeyError, TypeError) as error:
            return f"no usage in the answer ({error!r}): {self._told()}"
        if request.output_tokens is not None and counted != request.output_tokens:
            return f"{counted} output tokens where {request.output_tokens} were forced"
        return None

    def output_tokens(self) -> int:
        """What ``usage`` counts; raises KeyError, TypeError or ValueError where it is missing."""
        body = self._events[-2] if self._stream else self._body()
        return int(json.loads(body)["usage"]["completion_tokens"])

    def _body(self) -> bytes:
        return b"".join(self._parts)

    def _told(self) -> str:
        return error_message(self._events[-1] if self._events else self._body())
