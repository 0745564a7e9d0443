"""Raw answers read afterwards, whatever server wrote them."""

import json

import pytest

from tests.benches.harness.received import (
    AnswerError,
    Received,
    count_tokens,
    tokens_per_second,
)

WHOLE = {"choices": [{"text": "a b", "finish_reason": "stop"}], "usage": {"completion_tokens": 3}}
CHUNKED = "Transfer-Encoding: chunked"


def received(body: bytes, *, head: str = "content-length: 0", status: str = "200 OK") -> Received:
    raw = f"HTTP/1.1 {status}\r\n{head}\r\n\r\n".encode() + body
    return Received(raw=raw, started_s=1.0, first_s=1.5, ended_s=2.0)


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def stream(*choices: dict[str, object], done: bool = True, ending: str = "\n\n") -> Received:
    events = [json.dumps({"choices": [choice]}) for choice in choices] + ["[DONE]"] * done
    return received(chunks(*(f"data: {event}{ending}".encode() for event in events)), head=CHUNKED)


def words(text: str) -> int:
    return len(text.split())


def tokens(answer: Received, *, stream: bool) -> int:
    return count_tokens(answer, stream=stream, asked=9, count=words)


def test_a_whole_answer_has_the_tokens_of_its_text_whatever_its_usage_counts() -> None:
    assert tokens(received(json.dumps(WHOLE).encode()), stream=False) == 2


@pytest.mark.parametrize("ending", ["\n\n", "\r\n\r\n"])
def test_an_answer_that_was_cut_off_at_its_length_has_all_tokens_asked_for(ending: str) -> None:
    answer = stream(
        {"text": "a", "finish_reason": None}, {"text": "", "finish_reason": "length"}, ending=ending
    )
    assert tokens(answer, stream=True) == 9


def test_a_stream_that_ended_by_itself_has_the_tokens_of_its_text() -> None:
    answer = stream({"text": "a "}, {"text": "b"}, {"text": "", "finish_reason": "stop"})
    assert tokens(answer, stream=True) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (stream({"text": "a"}, done=False), "without its end"),
        (stream({"text": "a", "finish_reason": None}), "how it ended"),
        (received(b'data: {"error": {"message": "gone"}}\n\ndata: [DONE]\n\n'), "gone"),
        (received(b'{"error": {"message": "no"}}', status="503 Busy"), "HTTP 503: no"),
    ],
)
def test_a_broken_stream_is_no_figure_but_a_reason(answer: Received, reason: str) -> None:
    with pytest.raises(AnswerError, match=reason):
        tokens(answer, stream=True)


def test_chunks_are_joined_at_their_sizes_and_not_at_line_ends() -> None:
    answer = received(b"5\r\na\r\nbc\r\n2;x=1\r\nde\r\n0\r\n\r\n", head=CHUNKED)
    assert answer.content == b"a\r\nbcde"


def test_what_came_of_an_answer_that_was_left_can_be_read() -> None:
    begun = received(b"5\r\nab", head=CHUNKED)
    assert (begun.status, begun.content) == (200, b"ab")
    nothing = Received(raw=b"HTTP/1.1 2", started_s=1.0, first_s=0.0, ended_s=2.0)
    assert (nothing.status, nothing.content, nothing.events) == (0, b"", [])


def test_headers_are_named_in_lower_case() -> None:
    assert received(b"", head="X-Request-Id: a:b").headers == {"x-request-id": "a:b"}


@pytest.mark.parametrize("framed", [False, True])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_has_come_with_its_last_byte_however_it_is_cut(size: int, framed: bool) -> None:
    """A relay may cut events anywhere, within their end mark as well."""
    events = [b'data: {"text": "data: x"}\n\n'] * 3 + [b"data: [DONE]\n\n"]
    whole = b"".join(events)
    parts = [whole[:26], whole[26:30], whole[30:]]
    body = chunks(*parts) if framed else whole
    raw = received(body, head=CHUNKED if framed else "content-length: 1").raw
    cuts = [raw[start : start + size] for start in range(0, len(raw), size)]
    pieces = tuple((float(number), len(cut)) for number, cut in enumerate(cuts))
    answer = Received(raw=raw, started_s=0.0, first_s=0.0, ended_s=0.0, pieces=pieces)
    assert len(answer.event_times) == len(answer.events) == 4
    for number, time_s in enumerate(answer.event_times, start=1):
        seen = Received(
            raw=raw[: sum(n for at, n in pieces if at <= time_s)],
            started_s=0.0,
            first_s=0.0,
            ended_s=0.0,
        )
        before = Received(
            raw=raw[: sum(n for at, n in pieces if at < time_s)],
            started_s=0.0,
            first_s=0.0,
            ended_s=0.0,
        )
        assert seen.content.count(b"\n\n") >= number > before.content.count(b"\n\n")


def test_throughput_is_from_the_first_request_to_the_last_answer() -> None:
    early = Received(raw=b"", started_s=0.0, first_s=1.0, ended_s=2.0)
    late = Received(raw=b"", started_s=1.0, first_s=3.0, ended_s=4.0)
    assert tokens_per_second([late, early], 40) == 10
