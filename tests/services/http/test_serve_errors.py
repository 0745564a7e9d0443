"""What Serve answers by itself is OpenAI's JSON, and behind the keys."""

import json
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

from services.http.keys import Keyring, digest_of
from services.http.serve_errors import (
    DIGESTS_VARIABLE,
    ORIGINS_VARIABLE,
    ServeErrors,
    middlewares,
)

KEY = "a-key-of-this-deployment"
Message = MutableMapping[str, Any]


def server(status: int, kind: bytes, *bodies: bytes) -> Callable[..., Any]:
    """One of Serve's servers."""

    async def app(_scope: Message, _receive: object, send: Callable[..., Any]) -> None:
        headers = [(b"content-type", kind)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for body in bodies:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def ask(app: Callable[..., Any], path: str, key: str | None = KEY) -> tuple[int, bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
    scope = {"type": "http", "path": path, "headers": headers}
    ring = Keyring(digests=(digest_of(KEY),))
    await ServeErrors(app, keyring=ring)(scope, None, send)  # type: ignore[arg-type]
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (404, 404, "not_found_error"),
        (408, 504, "timeout_error"),
        (500, 500, "server_error"),
        (503, 503, "unavailable_error"),
    ],
)
async def test_a_plain_text_error_is_told_anew_without_its_traceback(
    status: int, told: int, kind: str
) -> None:
    app = server(status, b"text/plain; charset=utf-8", b"Traceback (most recent", b" call last)")
    found, body = await ask(app, "/some-variant/v1/completions")
    assert found == told
    assert json.loads(body)["error"]["type"] == kind
    assert b"Traceback" not in body


async def test_every_other_answer_passes_as_it_is() -> None:
    assert await ask(server(200, b"text/plain", b"a", b"b"), "/v/metrics") == (200, b"ab")
    assert await ask(server(404, b"application/json", b"{}"), "/v/x") == (404, b"{}")


@pytest.mark.parametrize("key", [None, "a-key-of-another-one"])
async def test_serves_own_routes_are_behind_the_keys_but_for_health(key: str | None) -> None:
    app = server(200, b"text/plain", b"success")
    for path in ("/-/routes", "/no-such-route", "/some-variant/v1/completions", "/"):
        assert (await ask(app, path, key))[0] == 401
    for path in ("/-/healthz", "/healthz", "/some-variant/healthz", "/v1/health", "/v/ping/"):
        assert (await ask(app, path, key))[0] == 200
    assert (await ask(app, "/-/routes"))[0] == 404


@pytest.mark.parametrize("given", [[], [(b"x-request-id", b"abc-1")]])
@pytest.mark.parametrize("key", [KEY, "another"])
async def test_an_error_has_the_id_that_serve_finds_behind_it(
    given: list[tuple[bytes, bytes]], key: str
) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key}".encode()), *given]
    scope: Message = {"type": "http", "path": "/x", "headers": headers}
    ring = Keyring(digests=(digest_of(KEY),))
    app = server(500, b"text/plain", b"Traceback")
    await ServeErrors(app, keyring=ring)(scope, None, send)  # type: ignore[arg-type]
    told = [value for name, value in sent[0]["headers"] if name == b"x-request-id"]
    assert told == [value for name, value in scope["headers"] if name == b"x-request-id"]
    assert told == [b"abc-1"] if given else told[0].startswith(b"req-")


def test_serve_finds_the_middlewares_with_keys_and_origins_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(DIGESTS_VARIABLE, f"{digest_of(KEY)},{digest_of('another')}")
    monkeypatch.setenv(ORIGINS_VARIABLE, "https://chat.org,http://localhost:3000")
    pages, keys = middlewares()
    assert keys.kwargs["keyring"] == Keyring(digests=(digest_of(KEY), digest_of("another")))
    assert pages.kwargs["origins"] == ("https://chat.org", "http://localhost:3000")
    monkeypatch.delenv(DIGESTS_VARIABLE)
    monkeypatch.delenv(ORIGINS_VARIABLE)
    pages, keys = middlewares()
    assert (keys.kwargs["keyring"], pages.kwargs["origins"]) == (Keyring(), ())
