import json
from dataclasses import replace

import pytest

from tests.benches.soak.answers import Answer
from tests.benches.soak.mix import PlannedRequest

GOOD = PlannedRequest(
    number=0, kind="k", variant="v", method="POST", path="/", body=b"", output_tokens=2
)
USAGE = b'{"usage": {"completion_tokens": 2}}'
ERROR = json.dumps({"error": {"message": "no", "type": "invalid_request_error"}}).encode()
STREAM = b'data: {"choices": []}\n\ndata: ' + USAGE + b"\n\ndata: [DONE]\n\n"


def answer(body: bytes, *, status: int = 200, stream: bool = False) -> Answer:
    found = Answer(stream=stream)
    found.status, found.request_id = status, "r"
    for place in range(0, len(body), 7):
        found.feed(body[place : place + 7], 1.0 + place)
    return found


def test_a_whole_answer_and_a_finished_stream_are_right() -> None:
    assert answer(USAGE).fault(GOOD) is None
    streamed = answer(STREAM, stream=True)
    assert streamed.fault(replace(GOOD, stream=True)) is None
    assert streamed.output_tokens() == 2


@pytest.mark.parametrize(
    ("received", "reason"),
    [
        (answer(ERROR, status=500), "status 500"),
        (answer(b"{}"), "no usage"),
        (answer(b'{"usage": {"completion_tokens": 1}}'), "1 output tokens where 2"),
        (answer(b"no json"), "no usage"),
    ],
)
def test_a_wrong_answer_says_why(received: Answer, reason: str) -> None:
    assert reason in str(received.fault(GOOD))


def test_a_stream_that_breaks_off_or_tells_an_error_is_wrong() -> None:
    streamed = replace(GOOD, stream=True)
    broken = answer(STREAM.removesuffix(b"data: [DONE]\n\n"), stream=True)
    assert "[DONE]" in str(broken.fault(streamed))
    failed = answer(b"data: " + ERROR + b"\n\n", stream=True)
    assert "does not end with [DONE]: no" in str(failed.fault(streamed))


def test_a_refusal_is_right_only_as_openais_error_with_the_due_status() -> None:
    bad = replace(GOOD, expected=frozenset({400}), output_tokens=None)
    assert answer(ERROR, status=400).fault(bad) is None
    assert "status 404" in str(answer(ERROR, status=404).fault(bad))
    assert "no OpenAI error" in str(answer(b'{"detail": "no"}', status=400).fault(bad))
    assert "status 200" in str(answer(USAGE).fault(bad))


def test_an_answer_without_a_request_id_is_wrong() -> None:
    found = answer(USAGE)
    found.request_id = None
    assert "x-request-id" in str(found.fault(GOOD))
