"""What became of a request while something broke. Pure.

A client can act on an answer that is finished and on an OpenAI error, before the stream or in it;
``broken`` and ``hung`` leave it guessing.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from services.http.stream_chunk import DONE
from tests.benches.harness.openai_error import is_openai_error

Ending = Literal["finished", "error", "broken", "hung"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One request: how it ended, and when (s, on the monotonic clock of this process)."""

    ending: Ending
    detail: str
    sent_s: float
    end_s: float


def whole_ending(status: int, body: bytes) -> tuple[Ending, str]:
    """How an answer without a stream ended."""
    if status == 200:
        return "finished", ""
    if is_openai_error(body):
        return "error", f"{status} {json.loads(body)['error']['message']}"
    return "broken", f"status {status} without an OpenAI error: {body[:200]!r}"


def stream_ending(events: Sequence[bytes]) -> tuple[Ending, str]:
    """How a stream that the server ended by itself ended."""
    errors = [event for event in events if is_openai_error(event)]
    finished = bool(events) and events[-1] == DONE
    if errors and finished:
        return "broken", "[DONE] after an error"
    if errors:
        return "error", str(json.loads(errors[-1])["error"]["message"])
    if finished:
        return "finished", ""
    return "broken", f"a stream that just ends after {len(events)} events"


def counted(outcomes: Iterable[Outcome]) -> dict[Ending, int]:
    """How many requests ended which way."""
    counts = Counter(outcome.ending for outcome in outcomes)
    endings: tuple[Ending, ...] = ("finished", "error", "broken", "hung")
    return {ending: counts[ending] for ending in endings}
