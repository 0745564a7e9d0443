"""A route has one name, however clients write it, and is asked in its own ways alone."""

import pytest

from services.http.errors import RequestError
from services.http.routes import (
    OPEN_NAMES,
    ROUTES,
    WRITTEN,
    check_method,
    find_route,
    model_of,
    named,
    no_route,
)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/v1/models/",
        "/v1//models",
        "//v1/models",
        "/models",
        "/v1/v1/models",
        "models",
    ],
)
def test_slashes_and_the_prefix_change_nothing(path: str) -> None:
    assert named(path) == "/models"


def test_every_route_is_found_as_it_is_written() -> None:
    assert [find_route(named(path)) for path in WRITTEN] == list(ROUTES)
    assert {"/v1/completions", "/v1/models", "/tokenize", "/health"} <= set(WRITTEN)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/embeddings", "/completions/x", "/healthzz"])
def test_what_no_route_has_is_refused_with_those_there_are(path: str) -> None:
    assert find_route(named(path)) is None
    error = no_route(path)
    assert (error.status, error.code) == (404, "unknown_url")
    assert all(written in error.message for written in WRITTEN)


@pytest.mark.parametrize("model", ["gguf-q8_0", "HuggingFaceTB/SmolLM2-135M-Instruct"])
def test_a_model_is_asked_for_by_its_whole_name(model: str) -> None:
    name = named(f"/v1/models/{model}")
    assert find_route(name) is not find_route("/models")
    assert model_of(name) == model


def test_head_is_answered_where_get_is_and_nothing_else_beside() -> None:
    models, completions = find_route("/models"), find_route("/completions")
    assert models is not None
    assert completions is not None
    check_method(models, "HEAD", "/models")
    check_method(completions, "POST", "/completions")
    for route, method, allowed in ((models, "POST", "GET, HEAD"), (completions, "HEAD", "POST")):
        with pytest.raises(RequestError) as caught:
            check_method(route, method, route.name)
        assert caught.value.status == 405
        assert (b"allow", allowed.encode()) in caught.value.headers()


def test_health_alone_needs_no_key() -> None:
    assert set(OPEN_NAMES) == {"/health", "/ping", "/healthz"}
