"""What the relay sees of requests, counted without altering what it relays.

Measured here, time to first token and time per output token are the same thing for every engine.
"""

from collections import deque
from collections.abc import Awaitable
from time import perf_counter
from types import TracebackType

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from services.http.asgi import Message, Send
from services.http.errors import BROKE_OFF, CLIENT_LEFT, RequestError
from services.http.event_stream import CONTENT_TYPE
from services.http.sse import SseParser
from services.http.stream_chunk import StreamChunk, StreamError, is_done, read_chunk
from services.metrics.series import TRAFFIC

# Told as zero from the start: a rate over a series that begins at one misses its first event.
STATUSES = ("200", "400", "429", "499", "502", "503", "504")
_EVENT_STREAM = CONTENT_TYPE.encode()
# The usage stands in the last event or, with an empty one behind it, in the one before.
_TAIL_EVENTS = 2


class Traffic:
    """The requests of one variant, as Prometheus series in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        rows = TRAFFIC
        self._requests = Counter(
            "assay_requests_total",
            rows["assay_requests_total"].text,
            rows["assay_requests_total"].labels,
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "assay_requests_in_flight",
            rows["assay_requests_in_flight"].text,
            registry=self.registry,
        )
        self._ttft = self._histogram("assay_ttft_seconds")
        self._tpot = self._histogram("assay_tpot_seconds")
        self._e2e = self._histogram("assay_e2e_seconds")
        for status in STATUSES:
            self._requests.labels(status)
        self._open = self._signs = self._known_signs = 0

    def _histogram(self, name: str) -> Histogram:
        row = TRAFFIC[name]
        return Histogram(name, row.text, buckets=row.buckets, registry=self.registry)

    def watch(self, send: Send) -> "WatchedSend":
        """Stand between an app and its client for one request; use it as a context."""
        return WatchedSend(self, send)

    def begin(self) -> None:
        """A request came in."""
        self._open += 1
        self._in_flight.inc()

    def first_chunk(self, seconds: float) -> None:
        """The first text of a streamed answer came."""
        self._ttft.observe(seconds)

    def chunk(self) -> None:
        """A part of a streamed answer came from the engine."""
        self._signs += 1

    def is_stalled(self) -> bool:
        """Whether answers are owed and nothing of any passed since this was last asked.

        For one caller: asking begins the next span. A whole answer gives no sign before its end.
        """
        known, self._known_signs = self._known_signs, self._signs
        return self._open > 0 and self._signs == known

    def end(self, status: int, seconds: float, tpot_s: float | None) -> None:
        """A request ended, whichever way."""
        self._open -= 1
        self._signs += status == 200
        self._in_flight.dec()
        self._requests.labels(str(status)).inc()
        if status == 200:
            self._e2e.observe(seconds)
            if tpot_s is not None:
                self._tpot.observe(tpot_s)


class WatchedSend:
    """An ASGI ``send`` that notes when what passed.

    ``status`` is set to what the request ended with, once that is known (``outcome``); it differs
    from the answer's own where a stream broke off. Events are read up to the first that has any
    text: the role of a chat's message, or an empty one, is no token. Of those behind it only the
    last are, when the answer is over.
    """

    def __init__(self, traffic: Traffic, send: Send) -> None:
        self.status: int | None = None
        self._traffic = traffic
        self._send = send
        self._began = perf_counter()
        self._streams: bool | None = None
        self._first: float | None = None
        self._last = self._began
        self._parser = SseParser()
        self._events = 0
        self._tail: deque[bytes] = deque(maxlen=_TAIL_EVENTS)

    def __call__(self, message: Message) -> Awaitable[None]:
        """Note a message and pass it on (no coroutine of our own between the two)."""
        if self._streams and (chunk := message.get("body")):
            self._note_chunk(chunk)
            # The last message may be the relay's own error: no sign of life from the engine.
            if message.get("more_body"):
                self._traffic.chunk()
        elif message["type"] == "http.response.start":
            kind = dict(message["headers"]).get(b"content-type", b"")
            self._streams = kind.startswith(_EVENT_STREAM)
        return self._send(message)

    def _note_chunk(self, chunk: bytes) -> None:
        events = [data for data in self._parser.feed(chunk) if not is_done(data)]
        if not events:
            return
        self._tail.extend(events)
        self._last = perf_counter()
        if self._first is None:
            silent = 0
            while silent < len(events) and not _read(events[silent]).has_tokens:
                silent += 1
            if silent == len(events):
                return
            events = events[silent:]
            self._first = self._last
            self._traffic.first_chunk(self._first - self._began)
        self._events += len(events)

    def outcome(self, status: int) -> int:
        """What a request ended with whose answer had ``status``.

        An engine that fails in mid-stream can only say so in an event; that is no answer served.
        """
        broken = status == 200 and any(_read(data).error is not None for data in self._tail)
        return BROKE_OFF if broken else status

    def __enter__(self) -> "WatchedSend":
        self._traffic.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._traffic.end(self._ended_with(error), perf_counter() - self._began, self._tpot_s())

    def _ended_with(self, error: BaseException | None) -> int:
        """The status that the request ended with; a refusal is answered outside, after us."""
        if self.status is not None:
            return self.status
        if isinstance(error, RequestError):
            return error.status
        answered = self._streams is not None
        return BROKE_OFF if answered and isinstance(error, ConnectionResetError) else CLIENT_LEFT

    def _tpot_s(self) -> float | None:
        """Mean time per output token after the first; None where there are none.

        Tokens are counted by the answer's own usage, else by its events from the first text on.
        """
        if self._first is None:
            return None
        told = [chunk.usage for data in self._tail if (chunk := _read(data)).usage is not None]
        tokens = told[-1].completion_tokens if told and told[-1] else self._events
        return (self._last - self._first) / (tokens - 1) if tokens > 1 else None


def _read(data: bytes) -> StreamChunk:
    """An event, or an empty one in the place of what is none; it passes all the same."""
    try:
        return read_chunk(data)
    except StreamError:
        return StreamChunk()
