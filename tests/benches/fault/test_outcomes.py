"""An ending that a client can act on is told from one that leaves it guessing."""

from tests.benches.fault.outcomes import (
    Outcome,
    counted,
    stream_ending,
    whole_ending,
)

ERROR = b'{"error": {"message": "the engine broke off", "type": "engine_error"}}'


def test_a_stream_ends_finished_only_with_done() -> None:
    assert stream_ending([b'{"choices": []}', b"[DONE]"]) == ("finished", "")
    assert stream_ending([b'{"choices": []}'])[0] == "broken"
    assert stream_ending([])[0] == "broken"


def test_a_stream_that_ends_in_an_error_event_is_an_error() -> None:
    assert stream_ending([b"{}", ERROR]) == ("error", "the engine broke off")


def test_done_after_an_error_is_a_lie() -> None:
    assert stream_ending([ERROR, b"[DONE]"])[0] == "broken"


def test_a_refusal_is_an_error_only_as_openais_json() -> None:
    assert whole_ending(503, ERROR) == ("error", "503 the engine broke off")
    assert whole_ending(503, b"Service Unavailable")[0] == "broken"
    assert whole_ending(200, b"{}") == ("finished", "")
    assert whole_ending(400, b'{"error": "text"}')[0] == "broken"


def test_endings_are_counted_with_those_that_did_not_occur() -> None:
    outcome = Outcome(ending="hung", detail="", sent_s=0, end_s=1)
    assert counted([outcome, outcome]) == {"finished": 0, "error": 0, "broken": 0, "hung": 2}
