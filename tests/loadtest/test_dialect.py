import json
import re
from typing import Any

import pytest

from loadtest.completion import Reading
from loadtest.dialect import Dialect


def dialect(**changes: Any) -> Dialect:
    return Dialect(**({"api": "chat", "model": "m"} | changes))


def good(**changes: Any) -> Reading:
    values = {"first_token_s": 1.0, "chunks": 3, "output_tokens": 4, "done": True}
    return Reading(**(values | changes))


def test_only_what_is_understood_is_asked() -> None:
    full = json.loads(dialect().body("hello", 4))
    assert full["messages"] == [{"role": "user", "content": "hello"}]
    assert (full["max_tokens"], full["ignore_eos"]) == (4, True)
    assert full["stream_options"] == {"include_usage": True}
    spare = dialect(api="completions", exact=False, usage=False, length_key="max_completion_tokens")
    body = json.loads(spare.body("hello", 4))
    assert (body["prompt"], body["max_completion_tokens"]) == ("hello", 4)
    assert not {"ignore_eos", "stream_options", "max_tokens", "messages"} & body.keys()
    assert (dialect().route, spare.route) == ("/chat/completions", "/completions")


def test_without_usage_a_chunk_is_a_token() -> None:
    reading = good(output_tokens=0)
    dialect(usage=False).completed(reading)
    assert reading.output_tokens == 3
    dialect().completed(untouched := good(output_tokens=0))
    assert untouched.output_tokens == 0


def test_a_usage_that_is_not_believed_counts_for_nothing() -> None:
    reading = good(output_tokens=12)
    dialect(believed=False).completed(reading)
    assert reading.output_tokens == 3
    assert "counts more than was asked for" in dialect(believed=False).words


@pytest.mark.parametrize(
    ("changes", "reading", "message"),
    [
        ({}, good(), None),
        ({"exact": False}, good(output_tokens=2), None),
        ({}, good(output_tokens=2), "2 output tokens where 4 were forced"),
        ({"exact": False}, good(output_tokens=12), "usage counts 12 tokens, 4 are the most"),
        ({}, good(done=False), "before .DONE."),
        ({}, good(output_tokens=0), "no usage, though"),
        ({}, good(first_token_s=None), "no chunk had any text"),
    ],
)
def test_an_answer_is_held_to_what_is_understood(
    changes: dict[str, Any], reading: Reading, message: str | None
) -> None:
    told = dialect(**changes).fault(reading, 4)
    assert (told or "") == "" if message is None else re.search(message, told or "")


def test_it_says_what_it_understands() -> None:
    assert dialect().words == "chat as m, answers of exact length, tokens by usage"
    assert "no usage in its streams" in dialect(usage=False).words
