"""One fuzzed request with its answer, and what must never be true of an answer.

Nothing that needs more than the standard library: schemathesis's environment imports this too.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.http.routes import WRITTEN
from tests.benches.harness.openai_error import is_openai_error

TRACEBACK = re.compile(rb"Traceback \(most recent call last\)|File \"[^\"]+\", line \d+")
# The server's fault wherever it is told, in a stream as well.
FIRST_SERVER_ERROR = 500
_SHOWN_BYTES = 300


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request by its case and route, and the answer; ``status`` 0: none came.

    Header names are in lower case. ``is_http`` is False for bytes that are no HTTP request: the
    proxy's parser refuses those in its own words, or closes the connection, and no app sees them.
    """

    source: str
    case: str
    method: str
    path: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    is_http: bool = True
    broke: str | None = None


def faults(exchange: Exchange) -> list[str]:
    """Everything that is wrong with an answer; empty: it is a good one."""
    found = []
    if exchange.status >= FIRST_SERVER_ERROR:
        found.append(f"status {exchange.status}")
    if TRACEBACK.search(exchange.body):
        found.append("a traceback in the body")
    if not exchange.is_http:
        return found
    if exchange.status == 0:
        return [*found, f"no answer ({exchange.broke})"]
    if not exchange.headers.get("x-request-id"):
        found.append("no x-request-id")
    if exchange.method != "HEAD":
        found += _content_faults(exchange)
    return found


def _content_faults(exchange: Exchange) -> list[str]:
    kind = exchange.headers.get("content-type", "")
    if exchange.status >= 400:
        return [] if is_openai_error(exchange.body) else ["no OpenAI error"]
    if kind.startswith("text/event-stream"):
        return _stream_faults(exchange.body)
    if kind.startswith("application/json") and not _is_strict_json(exchange.body):
        return ["no valid JSON"]
    return []


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _is_strict_json(body: bytes) -> bool:
    """Whether a body is JSON as RFC 8259 has it, without NaN and Infinity."""
    try:
        json.loads(body, parse_constant=_refuse)
    except ValueError:
        return False
    return True


def _stream_faults(body: bytes) -> list[str]:
    """A stream ends with ``[DONE]``; an error event, which may end it too, is the server's."""
    events = [part[6:] for part in body.split(b"\n\n") if part.startswith(b"data: ")]
    if not events:
        return ["a stream without events"]
    found = [
        "an event that is no JSON"
        for event in events
        if event != b"[DONE]" and not _is_strict_json(event)
    ]
    told = [
        json.loads(event)["error"]
        for event in events
        if event.startswith(b'{"error"') and _is_strict_json(event)
    ]
    # A client's mistake is answered before a stream begins.
    for error in told:
        message = error.get("message") if isinstance(error, dict) else error
        found.append(f"an error in the stream ({message})")
    if events[-1] != b"[DONE]" and not told:
        found.append("a stream without an end")
    return found


def route_of(path: str, variants: tuple[str, ...]) -> str:
    """The route that a path names, for counting: ``<variant>`` for the variants' own."""
    bare = path.partition("?")[0]
    for variant in variants:
        if bare.startswith(f"/{variant}/"):
            inner = bare.removeprefix(f"/{variant}")
            return f"/{variant}{inner if inner in ROUTES else '/…'}"
    return bare if bare in ROUTES else "/…"


ROUTES = (*WRITTEN, "/prometheus/targets")


def shown(exchange: Exchange) -> str:
    """The answer's beginning, for the terminal."""
    return exchange.body[:_SHOWN_BYTES].decode("utf-8", "replace")
