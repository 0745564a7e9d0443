"""An answer is read when it is asked for, and says then what an answer read at once would say."""

import json
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from deploy.plan_load import ClosedLoopLoad
from loadtest.answer import Answer
from loadtest.asks import Ask
from loadtest.closed_loop import ClosedLoop
from loadtest.completion import KeptStream
from loadtest.job import Job, Leg
from loadtest.levels import Ticket

LEG = Leg(variant="bf16-vllm", point=ClosedLoop(2))
JOB = Job(
    url="http://127.0.0.1:1",
    round=3,
    rounds=4,
    points=(LEG.point,),
    legs=(LEG,),
    loads=(ClosedLoopLoad(),),
    request_timeout_s=1,
    prompts=Path("prompts.npz"),
)
ASK = Ask(prompt=[5, 6, 7, 8, 9], output_tokens=2, session=3, turn=1)
TOKEN = {"choices": [{"text": "a"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


def pieces(*events: dict[str, Any] | str) -> list[bytes]:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return [f"data: {text}\n\n".encode() for text in texts]


def an_answer(*events: dict[str, Any] | str, **known: Any) -> Answer:
    """An answer whose events came at 1, 2, 3 s and so on."""
    stream = KeptStream()
    for second, piece in enumerate(pieces(*events), start=1):
        assert not stream.take(float(second), piece)
    fields: dict[str, Any] = {"status": 200, "end_s": 9.0, "stream": stream} | known
    ticket = Ticket(index=7, counted=True)
    fields |= {"scheduled_s": 0.25, "send_s": 0.5}
    return Answer(leg=LEG, ticket=ticket, ask=ASK, request_id="it", **fields)


def test_a_good_answer_waits_and_its_record_has_the_times_of_its_events() -> None:
    answer = an_answer(TOKEN, TOKEN, USAGE, "[DONE]")
    assert not answer.is_urgent
    record = answer.record(JOB)
    assert (record.scheduled_s, record.send_s, record.end_s) == (0.25, 0.5, 9.0)
    assert (record.first_token_s, record.last_token_s, record.max_gap_s) == (1.0, 2.0, 1.0)
    assert (record.prompt_tokens, record.output_tokens, record.chunks) == (5, 2, 2)
    assert (record.variant, record.round, record.point) == ("bf16-vllm", 3, ClosedLoop(2))
    assert (record.request_id, record.counted, record.status) == ("it", True, 200)
    assert (record.ttfo_s, record.gaps_s) == (record.ttft_s, (1.0,))
    assert (record.prompt_hash, record.session, record.turn) == (ASK.prompt_hash(), 3, 1)
    assert record.error is None
    assert answer.record(JOB) == record
    assert answer.stream.size_bytes == 0


@pytest.mark.parametrize(
    "answer",
    [
        an_answer(TOKEN, TOKEN, USAGE),
        an_answer(status=503, error="HTTP 503: busy"),
        an_answer(TOKEN, USAGE, "[DONE]", error="the connection broke"),
        Answer(
            leg=LEG,
            ticket=Ticket(index=0, counted=True),
            ask=ASK,
            request_id="",
            scheduled_s=0,
            send_s=0,
        ),
    ],
)
def test_what_failed_or_may_have_is_to_be_read_at_once_and_has_an_error(answer: Answer) -> None:
    assert answer.is_urgent
    assert answer.record(JOB).error


def test_an_event_that_is_no_chunk_costs_its_own_request_alone() -> None:
    answer = an_answer(TOKEN, "{broken", USAGE, "[DONE]")
    assert not answer.is_urgent
    record = answer.record(JOB)
    assert "no chunk of an answer" in str(record.error)
    assert record.chunks == 1


def test_the_reason_that_the_stream_gave_goes_before_that_of_its_end() -> None:
    answer = an_answer(TOKEN, "{broken", error="the connection broke")
    assert "no chunk of an answer" in str(answer.record(JOB).error)


def test_an_answer_that_is_not_what_was_asked_for_is_an_error_though_it_ended_well() -> None:
    record = an_answer(TOKEN, "[DONE]").record(JOB)
    assert "no usage" in str(record.error)


def test_an_answer_that_was_given_up_while_it_was_read_stays_an_error() -> None:
    answer = an_answer(error="it took too long")
    answer.stream = KeptStream(Event().wait)
    answer.stream.take(1.0, pieces(TOKEN)[0])
    with gevent.Timeout(0.05, False):
        answer.read_live(JOB)
    answer.stream.close()
    record = answer.record(JOB)
    assert (record.error, record.chunks) == ("it took too long", 1)


@pytest.mark.parametrize(
    ("end", "error"), [([USAGE, "[DONE]"], None), ([USAGE], "the stream ended before [DONE]")]
)
def test_an_answer_that_was_read_to_its_end_has_the_error_of_its_stream_alone(
    end: list[dict[str, Any] | str], error: str | None
) -> None:
    answer = an_answer(TOKEN, TOKEN, *end, error="it took too long")
    answer.read_live(JOB)
    assert (answer.error or "")[:30] == (error or "")
