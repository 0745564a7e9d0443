import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from loadtest.completion import (
    Reading,
    StreamError,
    error_message,
    fault,
    read_stream,
    request_body,
)


def lines(*events: dict[str, Any] | str) -> Callable[[], bytes]:
    """A line reader over events; an empty line and then nothing at the end."""
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    parts = iter([part for text in texts for part in (f"data: {text}\n".encode(), b"\n")])
    return lambda: next(parts, b"")


def chunk(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"text": text, "finish_reason": finish}]}


def usage(prompt: int, output: int) -> dict[str, Any]:
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": output}}


def read(*events: dict[str, Any] | str) -> Reading:
    """Read events; the clock goes on by one second with every line (two lines an event)."""
    reading, ticks = Reading(), count(1)
    read_stream(reading, lines(*events), lambda: float(next(ticks)))
    return reading


def test_first_and_last_token_are_timed_by_the_event_that_carries_them() -> None:
    reading = read(chunk("a"), chunk("b"), chunk("c"), usage(5, 3), "[DONE]")
    assert (reading.first_token_s, reading.last_token_s, reading.chunks) == (2.0, 6.0, 3)
    assert (reading.prompt_tokens, reading.output_tokens, reading.max_gap_s) == (5, 3, 2.0)
    assert fault(reading, prompt_tokens=5, output_tokens=3) is None


def test_an_empty_first_chunk_is_no_first_token() -> None:
    assert read(chunk(""), chunk("a")).first_token_s == 4.0


def test_an_invisible_token_counts_but_an_empty_end_does_not() -> None:
    reading = read(chunk("a"), chunk(""), chunk("", "length"), usage(5, 2), "[DONE]")
    assert (reading.last_token_s, reading.chunks) == (4.0, 2)


def test_the_text_of_the_finishing_chunk_is_a_token() -> None:
    assert read(chunk("a"), chunk("b", "length")).chunks == 2


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((chunk("a"), usage(5, 3)), "before [DONE], after 1 chunks"),
        ((chunk("a"), "[DONE]"), "no usage"),
        ((chunk("a"), usage(5, 2), "[DONE]"), "2 output tokens where 3 were forced"),
        ((chunk("a"), usage(6, 3), "[DONE]"), "6 prompt tokens of 5 sent"),
        ((usage(5, 3), "[DONE]"), "no chunk had any text"),
    ],
)
def test_a_stream_that_is_not_what_was_asked_for_is_a_fault(
    events: tuple[dict[str, Any] | str, ...], reason: str
) -> None:
    found = fault(read(*events), prompt_tokens=5, output_tokens=3)
    assert found is not None
    assert reason in found


def test_an_error_event_ends_the_stream_with_its_message_and_keeps_what_came() -> None:
    reading = Reading()
    events = lines(chunk("a"), {"error": {"message": "out of memory"}}, chunk("b"))
    with pytest.raises(StreamError, match="error in the stream: out of memory"):
        read_stream(reading, events, lambda: 1.0)
    assert reading.chunks == 1


def test_an_event_that_is_no_json_object_is_refused() -> None:
    with pytest.raises(StreamError, match="no JSON object"):
        read("[1, 2]")
    with pytest.raises(StreamError, match="no JSON object"):
        read("{broken")


def test_the_request_forces_its_length_and_asks_for_usage() -> None:
    body = json.loads(request_body("gguf-q8_0", [1, 2], 7))
    assert (body["model"], body["prompt"], body["ignore_eos"]) == ("gguf-q8_0", [1, 2], True)
    assert (body["max_tokens"], body["ignore_eos"], body["temperature"]) == (7, True, 0)
    assert body["stream_options"] == {"include_usage": True}


def test_an_error_body_is_told_by_its_message_or_as_it_is() -> None:
    assert error_message(b'{"error": {"message": "too\\n many"}}') == "too many"
    assert error_message(b"<html>bad gateway") == "<html>bad gateway"
