"""Whole events are passed on at once, halves wait, and no byte is lost."""

import json
import random

import pytest

from services.http.errors import RequestError
from services.http.event_stream import MAX_HELD_BYTES, WholeEvents, error_event, first_error

STREAM = b'data: {"n": 0}\n\n: ping\r\n\r\ndata: {"n": 1}\n\ndata: [DONE]\n\n'


def test_half_an_event_waits_for_the_rest_of_it() -> None:
    events = WholeEvents()
    assert events.feed(b"data: 1\n\ndata: 2") == b"data: 1\n\n"
    assert events.feed(b"\n") == b""
    assert events.feed(b"\n") == b"data: 2\n\n"
    assert events.rest() == b""


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"])
def test_events_are_whole_whatever_ends_their_lines(end: bytes) -> None:
    assert WholeEvents().feed(b"data: 1" + end + b"data") == b"data: 1" + end
    events, stream = WholeEvents(), b"data: 1" + end + b"data: 2" + end
    assert b"".join(events.feed(bytes([byte])) for byte in stream) == stream


@pytest.mark.parametrize("comment", [b": ping\n", b":\n", b": ping\r\n"])
def test_a_comment_between_events_keeps_its_client_waiting_for_nothing(comment: bytes) -> None:
    events = WholeEvents()
    assert events.feed(comment) == comment
    assert events.feed(b"data: 1\n\n" + comment) == b"data: 1\n\n" + comment
    assert events.feed(b"data: 2\n" + comment) == b""
    assert events.feed(b"\n" + comment[:1]) == b"data: 2\n" + comment + b"\n"


@pytest.mark.parametrize("seed", range(20))
def test_no_byte_is_lost_however_the_stream_is_split(seed: int) -> None:
    draw = random.Random(seed)
    cuts = sorted(draw.randrange(len(STREAM) + 1) for _ in range(5))
    pieces = [STREAM[a:b] for a, b in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
    events = WholeEvents()
    assert b"".join([*map(events.feed, pieces), events.rest()]) == STREAM


def test_what_never_ends_an_event_is_not_held_without_bound() -> None:
    events = WholeEvents()
    assert events.feed(b"x" * MAX_HELD_BYTES) == b""
    assert len(events.feed(b"x")) == MAX_HELD_BYTES + 1


def test_an_error_event_is_openais_error() -> None:
    event = error_event(RequestError(502, "the engine\nbroke off"))
    assert event.startswith(b"data: ")
    assert event.count(b"\n") == 2
    assert json.loads(event[6:])["error"]["message"] == "the engine\nbroke off"


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (b'data: {"error": {"message": "no", "code": 422, "param": "n"}}\n\n', (422, "no", "n")),
        (b'data: {"object": "error", "message": "no", "code": 400}\n\n', (400, "no", None)),
        (b'event: error\ndata: {"error": {"message": "no", "code": "x"}}\n\n', (500, "no", None)),
        (b'data: {"choices": []}\n\ndata: {"error": {"message": "late"}}\n\n', None),
        (b'data: {"choices": [], "error": null}\n\n', None),
        (b'data: {"message": "no error"}\n\n', None),
        (b": a comment\n\n", None),
        (b"data: [DONE]\n\n", None),
    ],
)
def test_only_the_first_event_tells_that_a_request_is_refused(events: bytes, told: object) -> None:
    error = first_error(events)
    assert (error and (error.status, error.message, error.param)) == told
