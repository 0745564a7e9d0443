"""Requests are counted by how they ended, and timed by their text, whatever else streams hold."""

import asyncio
import json
from typing import Any

import pytest

from services.http.errors import RequestError
from services.metrics.traffic import Traffic, WatchedSend

STREAM = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
}
WHOLE = {**STREAM, "headers": [(b"content-type", b"application/json")]}
PAUSE_S = 0.02
DONE = b"data: [DONE]\n\n"


def event(content: Any, end: bytes = b"\n") -> bytes:
    """An event of a stream."""
    return b"data: " + json.dumps(content).encode() + end + end


def token(text: str = "a") -> bytes:
    """An event with a text."""
    return event({"choices": [{"index": 0, "text": text, "finish_reason": None}]})


def delta(**fields: Any) -> bytes:
    """An event of a chat."""
    return event({"choices": [{"index": 0, "delta": fields}]})


async def _send(_message: Any) -> None:
    return None


async def _answer(send: WatchedSend, start: dict[str, Any], *chunks: bytes) -> None:
    """Answer in chunks, with a pause before each."""
    await send(start)
    for chunk in chunks:
        await asyncio.sleep(PAUSE_S)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def value(traffic: Traffic, name: str, **labels: str) -> float | None:
    return traffic.registry.get_sample_value(name, labels)


async def test_a_stream_is_timed_to_its_first_text_and_per_token_of_its_usage() -> None:
    traffic = Traffic()
    usage = event({"choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 11}})
    with traffic.watch(_send) as watched:
        await _answer(watched, STREAM, token(), token(), token(), usage, DONE)
        watched.status = 200
    e2e, tpot = value(traffic, "assay_e2e_seconds_sum"), value(traffic, "assay_tpot_seconds_sum")
    ttft = value(traffic, "assay_ttft_seconds_sum")
    assert e2e is not None
    assert tpot is not None
    assert ttft is not None
    # Ten tokens after the first, three pauses: all that is not the first text's.
    assert ttft >= PAUSE_S
    assert 3 * PAUSE_S <= tpot * 10 <= e2e - ttft


@pytest.mark.parametrize(
    "silent",
    [
        b": ping\r\n\r\n",
        b"data: \n\n",
        b"data: {broken\n\n",
        token(""),
        delta(role="assistant", content=""),
        event({"choices": []}, b"\r\n"),
    ],
)
@pytest.mark.parametrize("first", [token(), delta(content="Hi"), delta(reasoning="hm")])
async def test_what_has_no_text_is_no_first_token(silent: bytes, first: bytes) -> None:
    traffic = Traffic()
    with traffic.watch(_send) as watched:
        await _answer(watched, STREAM, silent)
        assert value(traffic, "assay_ttft_seconds_count") == 0
        await watched({"type": "http.response.body", "body": silent + first, "more_body": True})
        assert value(traffic, "assay_ttft_seconds_count") == 1
        watched.status = 200


async def test_a_stream_that_ends_in_an_error_of_its_engine_is_no_answer_served() -> None:
    traffic = Traffic()
    error = event({"error": {"message": "out of memory", "type": "server_error"}})
    with traffic.watch(_send) as watched:
        await _answer(watched, STREAM, token(), error, DONE)
        watched.status = watched.outcome(200)
    assert value(traffic, "assay_requests_total", status="502") == 1
    assert value(traffic, "assay_requests_total", status="200") == 0
    assert value(traffic, "assay_e2e_seconds_count") == 0


@pytest.mark.parametrize("status", [200, 400, 499])
async def test_any_other_answer_ended_with_its_own_status(status: int) -> None:
    with Traffic().watch(_send) as watched:
        await _answer(watched, STREAM, token(), DONE)
        assert watched.outcome(status) == status
        watched.status = status


async def test_tokens_are_counted_by_events_where_the_stream_tells_no_usage() -> None:
    traffic = Traffic()
    with traffic.watch(_send) as watched:
        await _answer(watched, STREAM, delta(role="a") + token(), token() + token() + DONE)
        watched.status = 200
    assert (value(traffic, "assay_tpot_seconds_sum") or 0) * 2 >= PAUSE_S


async def test_an_answer_in_one_piece_has_no_first_token() -> None:
    traffic = Traffic()
    with traffic.watch(_send) as watched:
        await _answer(watched, WHOLE, b"{}")
        watched.status = 200
    assert value(traffic, "assay_ttft_seconds_count") == 0
    assert value(traffic, "assay_tpot_seconds_count") == 0
    assert value(traffic, "assay_e2e_seconds_count") == 1


async def test_a_stream_of_one_token_has_no_time_per_token() -> None:
    traffic = Traffic()
    with traffic.watch(_send) as watched:
        await _answer(watched, STREAM, token(), DONE)
        watched.status = 200
    assert value(traffic, "assay_ttft_seconds_count") == 1
    assert value(traffic, "assay_tpot_seconds_count") == 0


@pytest.mark.parametrize(
    ("answered", "error", "status"),
    [
        (False, RequestError(429, "full"), "429"),
        (False, RequestError(504, "late"), "504"),
        (False, ConnectionResetError("client left"), "499"),
        (True, ConnectionResetError("the engine broke off"), "502"),
        (True, asyncio.CancelledError(), "499"),
    ],
)
async def test_a_request_that_fails_is_counted_by_its_reason(
    answered: bool, error: BaseException, status: str
) -> None:
    traffic = Traffic()

    async def fail() -> None:
        with traffic.watch(_send) as watched:
            if answered:
                await watched(STREAM)
            raise error

    with pytest.raises(type(error)):
        await fail()
    assert value(traffic, "assay_requests_total", status=status) == 1
    assert value(traffic, "assay_requests_total", status="200") == 0
    assert value(traffic, "assay_e2e_seconds_count") == 0
    assert value(traffic, "assay_requests_in_flight") == 0


async def test_what_the_relay_says_of_the_end_counts_more_than_how_the_answer_began() -> None:
    traffic = Traffic()
    with traffic.watch(_send) as watched:
        await _answer(watched, STREAM, b"data: 1\n\n")
        assert value(traffic, "assay_requests_in_flight") == 1
        watched.status = 502
    assert value(traffic, "assay_requests_total", status="502") == 1
    assert value(traffic, "assay_e2e_seconds_count") == 0


async def test_every_message_passes_as_it_is() -> None:
    passed: list[Any] = []

    async def keep(message: Any) -> None:
        passed.append(message)

    with Traffic().watch(keep) as watched:
        await _answer(watched, STREAM, b"one", b"two")
        watched.status = 200
    assert [message.get("body") for message in passed] == [None, b"one", b"two", b""]


async def test_answers_stall_when_nothing_of_any_passed_since_it_was_last_asked() -> None:
    traffic = Traffic()
    assert not traffic.is_stalled()
    with traffic.watch(_send) as watched:
        assert traffic.is_stalled()
        await watched(STREAM)
        await watched({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        assert not traffic.is_stalled()
        assert traffic.is_stalled()
        with traffic.watch(_send) as other:
            await _answer(other, WHOLE, b"{}")
            other.status = 200
        assert not traffic.is_stalled()
        watched.status = 200
    assert not traffic.is_stalled()


async def test_the_error_that_ends_a_stream_is_no_sign_of_its_engine() -> None:
    traffic = Traffic()
    with traffic.watch(_send) as watched:
        await watched(STREAM)
        await watched({"type": "http.response.body", "body": b"data: error\n\n"})
        assert traffic.is_stalled()
        watched.status = 504
