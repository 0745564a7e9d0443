import pytest

from loadtest.sse import SseParser

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
