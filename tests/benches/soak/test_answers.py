import json
from dataclasses import replace

import pytest

from tests.benches.harness.received import Received
from tests.benches.soak.answers import fault_of, output_tokens
from tests.benches.soak.mix import PlannedRequest

GOOD = PlannedRequest(
    number=0, kind="k", variant="v", method="POST", path="/", body=b"", output_tokens=2
)
USAGE = b'{"usage": {"completion_tokens": 2}}'
ERROR = json.dumps({"error": {"message": "no", "type": "invalid_request_error"}}).encode()
STREAM = b'data: {"choices": []}\n\ndata: ' + USAGE + b"\n\ndata: [DONE]\n\n"


def answer(body: bytes, *, status: int = 200, head: str = "x-request-id: r") -> Received:
    raw = f"HTTP/1.1 {status} -\r\n{head}\r\n\r\n".encode() + body
    return Received(raw=raw, started_s=0.0, first_s=1.0, ended_s=2.0)


def test_a_whole_answer_and_a_finished_stream_are_right() -> None:
    assert fault_of(answer(USAGE), GOOD) is None
    assert fault_of(answer(STREAM), replace(GOOD, stream=True)) is None
    assert output_tokens(answer(STREAM), stream=True) == 2


@pytest.mark.parametrize(
    ("received", "reason"),
    [
        (answer(ERROR, status=500), "status 500"),
        (answer(b"{}"), "no usage"),
        (answer(b'{"usage": {"completion_tokens": 1}}'), "1 output tokens where 2"),
        (answer(b"no json"), "no usage"),
    ],
)
def test_a_wrong_answer_says_why(received: Received, reason: str) -> None:
    assert reason in str(fault_of(received, GOOD))


def test_a_stream_that_breaks_off_or_tells_an_error_is_wrong() -> None:
    streamed = replace(GOOD, stream=True)
    broken = answer(STREAM.removesuffix(b"data: [DONE]\n\n"))
    assert "[DONE]" in str(fault_of(broken, streamed))
    failed = answer(b"data: " + ERROR + b"\n\n")
    assert "does not end with [DONE]: no" in str(fault_of(failed, streamed))
    assert "no usage" in str(fault_of(answer(b"data: [DONE]\n\n"), streamed))


def test_a_refusal_is_right_only_as_openais_error_with_the_due_status() -> None:
    bad = replace(GOOD, expected=frozenset({400}), output_tokens=None)
    assert fault_of(answer(ERROR, status=400), bad) is None
    assert "status 404" in str(fault_of(answer(ERROR, status=404), bad))
    assert "no OpenAI error" in str(fault_of(answer(b'{"detail": "no"}', status=400), bad))
    assert "status 200" in str(fault_of(answer(USAGE), bad))


def test_an_answer_without_a_request_id_is_wrong() -> None:
    assert "x-request-id" in str(fault_of(answer(USAGE, head="x-else: r"), GOOD))
