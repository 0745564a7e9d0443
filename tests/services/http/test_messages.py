import pytest

from services.http.errors import RequestError
from services.http.messages import read_messages


def test_text_in_parts_is_the_same_text_whatever_marks_the_parts_carry() -> None:
    parts = [
        {"type": "text", "text": "Hel", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "lo"},
    ]
    assert read_messages([{"role": "user", "content": parts}]) == [
        {"role": "user", "content": "Hello"}
    ]


def test_what_a_client_repeats_of_an_answer_changes_nothing() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    repeated = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": calls,
    }
    read = read_messages([repeated])
    assert read == [{"role": "assistant", "content": "", "tool_calls": calls}]
    assert read_messages(read) == read


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "image_url"),
        ({"role": "user", "content": ["bare"]}, "messages.0.content.0"),
        ({"role": "user", "content": [{"type": "text", "text": 3}]}, "messages.0.content.0"),
        ({"role": "assistant", "content": "a", "prefix": True}, "messages.0.prefix"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "messages.0.function_call"),
    ],
)
def test_what_no_model_here_is_told_is_refused_by_its_place(
    message: dict[str, object], named: str
) -> None:
    with pytest.raises(RequestError, match=named) as refusal:
        read_messages([message])
    assert (refusal.value.status, refusal.value.param) == (400, "messages")


@pytest.mark.parametrize("value", [None, "Hello", {"role": "user"}, [3], []])
def test_what_are_no_messages_is_left_to_the_engine(value: object) -> None:
    assert read_messages(value) == value
