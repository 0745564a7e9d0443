import json
import subprocess
import sys
from dataclasses import replace

import pytest

from quantize.root import ROOT
from tests.benches.fuzz.exchange import Exchange, faults, route_of

ERROR = json.dumps({"error": {"message": "no", "type": "invalid_request_error"}}).encode()
JSON = {"x-request-id": "r", "content-type": "application/json"}
EVENTS = {"x-request-id": "r", "content-type": "text/event-stream; charset=utf-8"}
GOOD = Exchange(
    source="s", case="c", method="POST", path="/", status=200, headers=JSON, body=b'{"a": 1}'
)


def test_a_good_answer_a_refusal_and_a_stream_have_no_fault() -> None:
    assert faults(GOOD) == []
    assert faults(replace(GOOD, status=400, body=ERROR)) == []
    assert faults(replace(GOOD, headers=EVENTS, body=b'data: {"a": 1}\n\ndata: [DONE]\n\n')) == []


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (replace(GOOD, status=500, body=ERROR), "status 500"),
        (replace(GOOD, status=400, body=b"Bad Request"), "no OpenAI error"),
        (replace(GOOD, status=400, body=b'{"error": "no"}'), "no OpenAI error"),
        (replace(GOOD, headers={"content-type": "application/json"}), "no x-request-id"),
        (replace(GOOD, body=b'{"a": NaN}'), "no valid JSON"),
        (replace(GOOD, body=b'{"a'), "no valid JSON"),
        (replace(GOOD, status=0, headers={}, body=b"", broke="closed"), "no answer (closed)"),
        (replace(GOOD, headers=EVENTS, body=b'data: {"a": 1}\n\n'), "a stream without an end"),
        (replace(GOOD, headers=EVENTS, body=b""), "a stream without events"),
        (replace(GOOD, headers=EVENTS, body=b'data: {"error"\n\n'), "an event that is no JSON"),
        (
            replace(GOOD, headers=EVENTS, body=b'data: {"error": {"message": "no"}}\n\n'),
            "an error in the stream (no)",
        ),
        (
            replace(GOOD, body=b'{"a": "Traceback (most recent call last)"}'),
            "a traceback in the body",
        ),
    ],
)
def test_a_wrong_answer_names_its_fault(wrong: Exchange, fault: str) -> None:
    assert fault in faults(wrong)


def test_bytes_that_are_no_request_may_be_refused_in_any_words_but_by_no_server_error() -> None:
    noise = replace(GOOD, is_http=False, headers={}, body=b"Invalid HTTP request received.")
    assert faults(replace(noise, status=400)) == []
    assert faults(replace(noise, status=0)) == []
    assert faults(replace(noise, status=502)) == ["status 502"]


def test_a_path_is_counted_by_its_route() -> None:
    variants = ("a", "a-b")
    assert route_of("/v1/completions?x=1", variants) == "/v1/completions"
    assert route_of("/a-b/v1/models", variants) == "/a-b/v1/models"
    assert route_of("/a/v1/models/x", variants) == "/a/…"
    assert route_of("/etc/passwd", variants) == "/…"


def test_it_is_imported_where_nothing_is_installed() -> None:
    """Schemathesis's environment has none of our packages."""
    alone = [sys.executable, "-S", "-c", "import tests.benches.fuzz.exchange"]
    done = subprocess.run(alone, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
