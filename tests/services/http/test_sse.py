"""Events are found however a stream is split, and whatever else a server sends between them."""

import pytest

from services.http.sse import SseParser

STREAM = b'data: {"a": 1}\n\n: a comment\n\ndata: {"b": "\xc3\xa9"}\n\nevent: x\ndata: [DONE]\n\n'
EVENTS = [b'{"a": 1}', b'{"b": "\xc3\xa9"}', b"[DONE]"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_do_not_depend_on_how_the_stream_is_split(end: bytes, size: int) -> None:
    stream = STREAM.replace(b"\n", end)
    parser = SseParser()
    seen = [
        event
        for start in range(0, len(stream), size)
        for event in parser.feed(stream[start : start + size])
    ]
    assert seen == EVENTS


def test_an_event_comes_with_the_bytes_that_complete_it_and_not_before() -> None:
    parser = SseParser()
    assert parser.feed(b"data: x\n") == []
    assert parser.feed(b"\n") == [b"x"]


def test_several_data_lines_are_one_event() -> None:
    assert SseParser().feed(b"data: x\ndata:y\ndata\n\n") == [b"x\ny\n"]


def test_an_event_without_data_or_without_its_end_is_none() -> None:
    assert SseParser().feed(b"event: ping\n\ndata: unfinished\n") == []


def test_an_event_whose_data_is_blank_tells_nothing_and_is_none() -> None:
    assert SseParser().feed(b"data: \n\ndata:\n\ndata: x\n\n") == [b"x"]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_byte_order_mark_before_the_first_event_is_no_part_of_it(size: int) -> None:
    stream, parser = b"\xef\xbb\xbfdata: x\n\n", SseParser()
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert [event for piece in pieces for event in parser.feed(piece)] == [b"x"]


@pytest.mark.parametrize("said", [b'{"error": {"message": "busy"}}', b"error: broken\n\n"])
def test_what_is_no_event_stream_can_be_told(said: bytes) -> None:
    parser = SseParser()
    assert parser.feed(b": ping\n\nid: 1\nretry: 5\n" + said) == []
    assert parser.stray() == said.strip()


def test_a_stream_of_events_leaves_nothing_astray() -> None:
    parser = SseParser()
    parser.feed(b": ping\nevent: message\nid: 1\ndata: x\n\n")
    assert parser.stray() == b""
