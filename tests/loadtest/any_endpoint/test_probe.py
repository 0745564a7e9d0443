"""What an endpoint understands is found out, and what cannot be measured is told with a remedy."""

from typing import Any

import pytest

from loadtest.any_endpoint.probe import Found, Probe
from loadtest.dialect import Dialect
from loadtest.endpoint import EndpointError
from tests.loadtest.any_endpoint.foreign_endpoint import foreign_endpoint


def found(model: str = "", **habits: Any) -> Found:
    with foreign_endpoint(**habits) as endpoint:
        return Probe(endpoint.url, "").find(model)


def dialect(**changes: Any) -> Dialect:
    return Dialect(**({"api": "completions", "model": "their-model"} | changes))


@pytest.mark.parametrize(
    ("habits", "expected"),
    [
        ({}, dialect()),
        ({"apis": ("chat",)}, dialect(api="chat")),
        ({"refuses": ("ignore_eos",)}, dialect(exact=False)),
        ({"refuses": ("stream_options",)}, dialect(usage=False)),
        ({"refuses": ("ignore_eos", "stream_options")}, dialect(exact=False, usage=False)),
        (
            {"refuses": ("ignore_eos", "stream_options"), "vague": True},
            dialect(exact=False, usage=False),
        ),
        ({"usage": False}, dialect(usage=False)),
        ({"ends_early": True}, dialect(exact=False)),
    ],
)
def test_what_it_understands_is_found(habits: dict[str, Any], expected: Dialect) -> None:
    assert found(**habits).dialect == expected


def test_what_is_missing_is_remarked() -> None:
    assert "a chunk counts as a token" in found(usage=False).remarks[0]
    assert "ends its answers all the same" in found(ends_early=True).remarks[0]
    assert found().remarks == ()


def test_a_usage_beyond_what_was_asked_is_named_and_not_believed() -> None:
    told = found(counts=24)
    assert told.dialect == dialect(believed=False)
    assert told.remarks == (
        "its usage counts 24 tokens where 8 were asked for: a chunk counts as a token",
    )


def test_a_web_page_is_no_base() -> None:
    with pytest.raises(EndpointError, match=r"is no base of OpenAI's routes.*text/html"):
        found(has_pages=True)


def test_the_only_model_needs_no_name_and_one_of_an_endpoint_without_a_list_does() -> None:
    assert found(models=("one",)).dialect.model == "one"
    assert found("any", models=None).dialect.model == "any"
    with pytest.raises(EndpointError, match=r"name a model with --model.*it lists none"):
        found(models=None)


@pytest.mark.parametrize(
    ("asked", "habits", "message"),
    [
        ({}, {"key": "k"}, "wants a key: give --key or ASSAY_API_KEY"),
        ({"key": "x"}, {"key": "k"}, "refused our key: HTTP 401"),
        ({"model": "m"}, {"models": ("a", "b")}, "has no model 'm': it has a, b"),
        ({}, {"models": ("a", "b")}, "name a model with --model .it has a, b"),
        ({}, {"apis": ()}, "no such route or model.*--url is the base"),
        ({}, {"busy": True}, "too busy.*slow down"),
        ({}, {"streams": False}, "streams no text"),
    ],
)
def test_what_cannot_be_measured_is_told_with_its_remedy(
    asked: dict[str, str], habits: dict[str, Any], message: str
) -> None:
    with (
        foreign_endpoint(**habits) as endpoint,
        pytest.raises(EndpointError, match=message),
    ):
        Probe(endpoint.url, asked.get("key", "")).find(asked.get("model", ""))


def test_nobody_there_is_told() -> None:
    with pytest.raises(EndpointError, match="no answer from"):
        Probe("http://127.0.0.1:1/v1", "").find("")
    with pytest.raises(EndpointError, match="no answer from"):
        Probe("nowhere", "").find("")
