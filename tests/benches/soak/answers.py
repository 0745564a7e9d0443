"""What came of a request, and whether that was right. Pure."""

import json
from dataclasses import dataclass
from typing import Literal

from services.http.stream_chunk import DONE, error_message
from tests.benches.harness.openai_error import is_openai_error
from tests.benches.harness.received import Received
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


def fault_of(answer: Received, planned: PlannedRequest) -> str | None:
    """Why the finished answer is not the right one; None: it is."""
    if answer.status not in planned.expected:
        return f"status {answer.status} instead of {sorted(planned.expected)}: {_told(answer)}"
    if not answer.headers.get("x-request-id"):
        return "the answer has no x-request-id"
    if answer.status != 200:
        return None if is_openai_error(answer.content) else f"no OpenAI error: {_told(answer)}"
    if planned.stream and answer.events[-1:] != [DONE]:
        return f"the stream does not end with [DONE]: {_told(answer)}"
    return _miscount(answer, planned)


def _miscount(answer: Received, planned: PlannedRequest) -> str | None:
    try:
        counted = output_tokens(answer, stream=planned.stream)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        return f"no usage in the answer ({error!r}): {_told(answer)}"
    if planned.output_tokens is not None and counted != planned.output_tokens:
        return f"{counted} output tokens where {planned.output_tokens} were forced"
    return None


def output_tokens(answer: Received, *, stream: bool) -> int:
    """What ``usage`` counts; raises KeyError, TypeError, IndexError or ValueError without it."""
    body = answer.events[-2] if stream else answer.content
    return int(json.loads(body)["usage"]["completion_tokens"])


def _told(answer: Received) -> str:
    return error_message(answer.events[-1] if answer.events else answer.content)
