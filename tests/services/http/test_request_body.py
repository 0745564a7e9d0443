"""A body is read within its limit, and refused where no engine could serve it."""

from collections.abc import MutableMapping
from typing import Any

import pytest

from services.http.errors import RequestError
from services.http.request_body import check_refused, check_tokens, parse_object, read_body


async def endless() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"x" * 60, "more_body": True}


async def test_a_body_over_the_limit_is_a_413() -> None:
    with pytest.raises(RequestError, match="exceeds 100 bytes") as caught:
        await read_body(endless, limit=100)
    assert caught.value.status == 413


async def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    async def never() -> MutableMapping[str, Any]:
        raise AssertionError("it was read")

    with pytest.raises(RequestError) as caught:
        await read_body(never, limit=100, headers=[(b"content-length", b"101")])
    assert caught.value.status == 413


async def test_an_encoded_body_is_a_415_that_names_the_encoding() -> None:
    with pytest.raises(RequestError, match="Content-Encoding gzip is not supported") as caught:
        await read_body(endless, headers=[(b"content-encoding", b"gzip")])
    assert caught.value.status == 415


@pytest.mark.parametrize("encoding", [b"identity", b""])
async def test_a_body_that_is_encoded_as_nothing_is_read(encoding: bytes) -> None:
    async def whole() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"{}"}

    assert await read_body(whole, headers=[(b"content-encoding", encoding)]) == b"{}"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b"1", b'"x"'])
def test_what_is_no_json_object_is_a_400(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        parse_object(body)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("content", "param", "message"),
    [
        ({"max_tokens": 513}, "max_tokens", "max_tokens = 513 exceeds the context of 512"),
        ({"max_completion_tokens": 10**9}, "max_completion_tokens", "exceeds the context"),
        ({"prompt": [1] * 500, "max_tokens": 13}, "max_tokens", "and a prompt of 500 tokens"),
        ({"prompt": [1] * 513}, "prompt", "has 513 tokens, the context holds 512"),
    ],
)
def test_more_tokens_than_the_context_holds_are_a_400_that_names_the_field(
    content: dict[str, Any], param: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        check_tokens(content, 512)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"prompt": [1] * 500, "max_tokens": 12},
        {"prompt": [[1] * 300, [1] * 300], "max_tokens": 12},
        {"prompt": ["a"] * 600},
        {"prompt": [], "max_tokens": "many"},
    ],
)
def test_what_may_fit_or_is_wrong_otherwise_is_left_to_the_engine(content: dict[str, Any]) -> None:
    check_tokens(content, 512)


@pytest.mark.parametrize(
    "body",
    [
        b'{"temperature": NaN}',
        b'{"temperature": -Infinity}',
        b'{"stop": "\\ud800"}',
        b'{"stop": "\xff"}',
        b'{"stop": "\x00"}',
        b'{"user": ' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"seed": ' + b"9" * 6000 + b"}",
        b'\xef\xbb\xbf{"model": "a"}',
        b'{"model": "a"} {}',
        '{"model": "a"}'.encode("utf-16"),
    ],
)
def test_what_an_engine_would_stumble_over_later_is_no_valid_json_here(body: bytes) -> None:
    with pytest.raises(RequestError, match="no valid JSON") as caught:
        parse_object(body)
    assert caught.value.status == 400


def test_a_field_that_an_engine_is_not_to_be_asked_is_refused_by_name() -> None:
    refuses = {("structured_outputs", "grammar"): "not here", ("pickle",): "never"}
    faulty: list[dict[str, Any]] = [{"structured_outputs": {"grammar": "root"}}, {"pickle": 0}]
    for content in faulty:
        with pytest.raises(RequestError, match=r"grammar: not here|pickle: never") as caught:
            check_refused(content, refuses)
        assert caught.value.status == 400
    fine: list[dict[str, Any]] = [
        {},
        {"structured_outputs": 1},
        {"structured_outputs": {"json": {}}},
    ]
    for content in fine:
        check_refused(content, refuses)
