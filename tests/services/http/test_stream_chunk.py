"""Events of streams mean the same whichever server sent them; what is none is refused by name."""

import json
from typing import Any

import pytest

from services.http.stream_chunk import (
    StreamChoice,
    StreamError,
    error_message,
    is_done,
    read_chunk,
)


def choice(**fields: Any) -> StreamChoice:
    """The only choice of an event."""
    found = read_chunk(json.dumps({"choices": [fields]}).encode()).choices
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"text": None, "finish_reason": "length"},
        {"delta": {}},
        {"delta": None},
        {"delta": {"role": "assistant"}},
        {"delta": {"role": "assistant", "content": ""}},
        {"delta": {"role": "assistant", "content": None, "reasoning": None, "tool_calls": []}},
        {"delta": {"reasoning_content": ""}},
    ],
)
def test_a_role_or_an_empty_text_is_no_token(fields: dict[str, Any]) -> None:
    assert not choice(**fields).has_tokens


@pytest.mark.parametrize(
    ("fields", "written", "thought"),
    [
        ({"text": "a"}, "a", ""),
        ({"delta": {"content": "a"}}, "a", ""),
        ({"delta": {"reasoning": "hm"}}, "", "hm"),
        ({"delta": {"content": "", "reasoning_content": "hm"}}, "", "hm"),
        ({"delta": {"tool_calls": [{"index": 0}]}}, "", ""),
    ],
)
def test_an_answer_and_what_was_thought_before_it_are_told_apart(
    fields: dict[str, Any], written: str, thought: str
) -> None:
    found = choice(**fields)
    assert (found.written, found.thought) == (written, thought)
    assert found.has_tokens


@pytest.mark.parametrize("usage", ["null", '{"prompt_tokens": 5, "completion_tokens": 2}'])
def test_usage_may_stand_in_every_event(usage: str) -> None:
    chunk = read_chunk(f'{{"choices": [{{"text": "a"}}], "usage": {usage}}}'.encode())
    assert chunk.has_tokens
    assert (chunk.usage is None) == (usage == "null")


@pytest.mark.parametrize("count", [-5, 10**30])
def test_a_usage_that_no_request_can_have_is_none(count: int) -> None:
    for key in ("prompt_tokens", "completion_tokens"):
        chunk = read_chunk(
            f'{{"choices": [{{"text": "a"}}], "usage": {{"{key}": {count}}}}}'.encode()
        )
        assert chunk.has_tokens
        assert chunk.usage is None


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b'{"choices": [null]}', "choices.0"),
        (b'{"choices": {"0": {"text": "a"}}}', "choices"),
        (b'{"choices": ["a"]}', "choices.0"),
        (b'{"choices": [{"text": 7}]}', "choices.0.text"),
        (b'{"choices": [], "usage": "12"}', "usage"),
        (b'{"choices": [], "usage": [1]}', "usage"),
        (b'{"choices": [], "usage": {"completion_tokens": "8"}}', "usage.completion_tokens"),
        (b"[1, 2]", "no JSON object"),
        (b"7", "no JSON object"),
        (b"{broken", "no JSON object"),
        (b'{"choices": [{"text": "\xff"}]}', "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b'{"usage": {"prompt_tokens": ' + b"9" * 10_000 + b"}}", "no JSON object"),
    ],
)
def test_a_broken_event_is_refused_by_the_place_where_it_is(data: bytes, where: str) -> None:
    with pytest.raises(StreamError) as refused:
        read_chunk(data)
    assert where in str(refused.value)
    assert len(str(refused.value)) < 300


def test_the_end_mark_may_have_spaces_about_it() -> None:
    assert is_done(b"[DONE] ")
    assert not is_done(b"{}")


def test_an_error_body_is_told_by_its_message_or_as_it_is() -> None:
    assert error_message(b'{"error": {"message": "too\\n many"}}') == "too many"
    assert error_message(b'{"error": "busy"}') == "busy"
    assert error_message(b"<html>bad gateway") == "<html>bad gateway"
    assert error_message(b"[" * 100_000).startswith("[[[")
