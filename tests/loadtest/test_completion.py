"""The load test times tokens by their events; a broken stream is one failed request."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from loadtest.completion import KeptStream, Reading, fault, read_stream, request_body
from services.http.stream_chunk import StreamError


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


@pytest.mark.parametrize(
    "between",
    [b": ping - 2026\r\n\r\n", b":\n\n", b"data: \n\n", b"event: message\nid: 1\nretry: 10\n"],
)
def test_what_servers_send_between_events_costs_nothing(between: bytes) -> None:
    events = [chunk("a"), chunk("b"), chunk("c", "length"), usage(5, 3)]
    data = [f"data: {json.dumps(event)}\r\n\r\n".encode() for event in events]
    stream = b"\xef\xbb\xbf" + b"".join(between + event for event in [*data, b"data: [DONE] \n\n"])
    pieces, reading = iter([bytes([byte]) for byte in stream]), Reading()
    read_stream(reading, lambda: next(pieces, b""), lambda: 1.0)
    assert fault(reading, prompt_tokens=5, output_tokens=3) is None
    assert reading.chunks == 3


def test_tokens_are_counted_by_usage_where_an_event_holds_several() -> None:
    reading = read(chunk("a b"), chunk(" c d"), usage(5, 4), "[DONE]")
    assert (reading.chunks, reading.output_tokens) == (2, 4)
    assert fault(reading, prompt_tokens=5, output_tokens=4) is None


def thought(key: str) -> dict[str, Any]:
    return {"choices": [{"delta": {key: "hm"}}]}


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_reasoning_is_the_first_token_and_the_answer_after_it_the_first_output(key: str) -> None:
    reading = read(thought(key), thought(key), chunk("a"), chunk("b"), usage(5, 4), "[DONE]")
    assert (reading.first_token_s, reading.first_answer_s, reading.thoughts) == (2.0, 6.0, 2)
    assert (reading.chunks, reading.gaps_s, reading.written) == (4, [2.0, 2.0, 2.0], ["a", "b"])
    assert fault(reading, prompt_tokens=5, output_tokens=4) is None
    assert read(chunk("a")).first_answer_s == 2.0


def test_reasoning_alone_is_no_answer() -> None:
    silent = read(thought("reasoning"), thought("reasoning"), usage(5, 2), "[DONE]")
    assert (
        fault(silent, prompt_tokens=5, output_tokens=2)
        == "no chunk had any text (2 held reasoning)"
    )


def test_an_answer_of_natural_length_may_end_before_its_limit_and_not_beyond() -> None:
    short = read(chunk("a", "stop"), usage(5, 2), "[DONE]")
    assert short.finish == "stop"
    assert fault(short, prompt_tokens=5, output_tokens=3, exact=False) is None
    assert fault(short, prompt_tokens=5, output_tokens=3) is not None
    said = fault(short, prompt_tokens=5, output_tokens=1, exact=False)
    assert said == "2 output tokens where 1 are the most"
    empty = read(chunk("", "stop"), usage(5, 0), "[DONE]")
    assert fault(empty, prompt_tokens=5, output_tokens=3, exact=False) is None
    assert fault(
        read(chunk("", "length"), usage(5, 0), "[DONE]"),
        prompt_tokens=5,
        output_tokens=3,
        exact=False,
    )


def test_an_answer_that_is_no_stream_is_told_in_its_own_words() -> None:
    body, reading = iter([b'{"error": {"message": "busy"}}']), Reading()
    read_stream(reading, lambda: next(body, b""), lambda: 1.0)
    said = fault(reading, prompt_tokens=5, output_tokens=3)
    assert said == "the stream ended before [DONE], after 0 chunks; the server said: busy"


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


@pytest.mark.parametrize("event", ["[1, 2]", "{broken", '{"choices": [null]}', '{"usage": "12"}'])
def test_an_event_that_is_no_chunk_of_an_answer_fails_its_request_alone(event: str) -> None:
    with pytest.raises(StreamError, match="no chunk of an answer"):
        read(event)


def live(*events: dict[str, Any] | str) -> KeptStream:
    """A stream of the events that come as they are waited for, its clock as in ``read``."""
    ticks, reader = count(1), lines(*events)

    def wait() -> bool:
        if not (piece := reader()):
            return False
        stream.take(float(next(ticks)), piece)
        return True

    stream = KeptStream(wait)
    return stream


def kept(*events: dict[str, Any] | str) -> tuple[KeptStream, bool]:
    """The same when all has come and it is closed, and whether anything may tell an error."""
    stream, ticks = KeptStream(), count(1)
    told = [stream.take(float(next(ticks)), piece) for piece in iter(lines(*events), b"")]
    return stream, any(told)


def test_a_stream_that_was_kept_is_read_with_the_times_at_which_it_came() -> None:
    events = (chunk("a"), chunk("b"), chunk("c"), usage(5, 3), "[DONE]")
    (stream, told), reading = kept(*events), Reading()
    assert stream.ended_well
    assert not told
    read_stream(reading, stream.piece, stream.time)
    assert reading == read(*events)


def test_a_stream_without_its_end_mark_has_not_ended_well() -> None:
    assert not kept(chunk("a"), usage(5, 1))[0].ended_well


def test_what_may_tell_an_error_is_told_and_reading_goes_on_with_the_live_stream() -> None:
    null = {**chunk("b"), "error": None}
    texts = [json.dumps(event, separators=(",", ":")) for event in (chunk("a"), null, chunk("c"))]
    assert kept(*texts)[1]
    stream, reading = live(*texts, usage(5, 3), "[DONE]"), Reading()
    read_stream(reading, stream.piece, stream.time)
    assert (reading.first_token_s, reading.last_token_s, reading.chunks) == (2.0, 6.0, 3)
    assert reading.done


def test_a_stream_that_is_closed_waits_for_nothing_more() -> None:
    stream = live(chunk("a"), "[DONE]")
    assert stream.piece()
    stream.close()
    assert stream.piece() == b""


def test_the_word_error_in_a_text_is_kept_as_any_other() -> None:
    assert not kept(json.dumps(chunk('{"error": 1}')), "[DONE]")[1]


def test_a_kept_stream_takes_at_least_the_memory_of_its_pieces() -> None:
    assert KeptStream().size_bytes == 0
    assert 1000 < kept(chunk("a" * 1000))[0].size_bytes < 2000


def test_the_request_forces_its_length_and_asks_for_usage() -> None:
    body = json.loads(request_body("gguf-q8_0", [1, 2], 7))
    assert (body["model"], body["prompt"], body["ignore_eos"]) == ("gguf-q8_0", [1, 2], True)
    assert (body["max_tokens"], body["ignore_eos"], body["temperature"]) == (7, True, 0)
    assert body["stream_options"] == {"include_usage": True}
    natural = json.loads(request_body("gguf-q8_0", [1, 2], 7, exact=False))
    assert (natural["max_tokens"], "ignore_eos" in natural) == (7, False)
