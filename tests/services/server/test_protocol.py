import json

import pytest

from services.http.errors import RequestError
from services.http.request_fields import MAX_STOPS
from services.server.protocol import (
    MAX_CHOICES,
    ChatBody,
    CompletionBody,
    parse_body,
)
from services.server.sampling import SamplingParameters


def completion(**fields: object) -> CompletionBody:
    return parse_body(CompletionBody, json.dumps({"model": "m", "prompt": "p", **fields}).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("best_of", 2),
        ("suffix", "x"),
        ("temperature", -1),
        ("temperature", "hot"),
        ("top_p", 1.5),
        ("top_k", -2),
        ("min_p", 2),
        ("repetition_penalty", 0),
        ("max_tokens", 1.5),
        ("max_tokens", -2),
        ("max_tokens", True),
        ("logprobs", 21),
        ("n", 0),
        ("stop", ""),
        ("stop", [1]),
        ("prompt", {"a": 1}),
        ("prompt", None),
        ("presence_penalty", 3),
        ("logit_bias", {"5": 101}),
    ],
)
def test_an_unknown_or_wrong_field_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(RequestError) as refusal:
        completion(**{field: value})
    assert refusal.value.status == 400
    assert (refusal.value.param or "").split(".")[0] == field
    assert field in refusal.value.message


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(RequestError):
        parse_body(CompletionBody, raw)


def test_null_fields_mean_their_defaults() -> None:
    body = completion(temperature=None, stop=None, seed=None, logit_bias=None, n=None)
    assert body.sampling(100) == SamplingParameters()
    assert body.stops() == ()


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("text", ["text"]),
        ([1, 2], [[1, 2]]),
        (["a", "b"], ["a", "b"]),
        ([[1], [2, 3]], [[1], [2, 3]]),
    ],
)
def test_every_form_of_prompt_is_understood(prompt: object, expected: object) -> None:
    assert completion(prompt=prompt).prompts() == expected


@pytest.mark.parametrize("key", ["100", "-1", "x", "²"])
def test_a_bias_on_a_token_that_does_not_exist_is_refused(key: str) -> None:
    with pytest.raises(RequestError, match="logit_bias"):
        completion(logit_bias={key: 1}).sampling(100)


def test_chat_top_logprobs_needs_logprobs() -> None:
    raw = {"model": "m", "messages": [{"role": "user", "content": "x"}], "top_logprobs": 2}
    with pytest.raises(RequestError, match="top_logprobs"):
        parse_body(ChatBody, json.dumps(raw).encode()).score_count()


def test_message_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    raw = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    assert parse_body(ChatBody, json.dumps(raw).encode()).messages[0].content == "ab"


def test_no_limit_is_told_from_the_default_one() -> None:
    assert completion(max_tokens=None).max_tokens is None
    assert completion(max_tokens=-1).max_tokens == -1
    raw = {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": -1}
    assert parse_body(ChatBody, json.dumps(raw).encode()).max_tokens is None


@pytest.mark.parametrize("key", ["9" * 5000, "-1", "1.5", "٣", "²", " 1", "1_0", "", "100"])
def test_what_is_no_token_id_is_no_place_for_a_bias(key: str) -> None:
    with pytest.raises(RequestError, match="logit_bias"):
        completion(logit_bias={key: 1}).sampling(100)


def test_more_stops_or_choices_than_can_be_looked_after_are_refused() -> None:
    assert len(completion(stop=["x"] * MAX_STOPS).stops()) == MAX_STOPS
    with pytest.raises(RequestError, match="stop"):
        completion(stop=["x"] * (MAX_STOPS + 1))
    assert len(completion(prompt=["a"] * 16, n=128).prompts()) * 128 == MAX_CHOICES
    with pytest.raises(RequestError, match="2064 choices"):
        completion(prompt=["a"] * 129, n=16).prompts()
