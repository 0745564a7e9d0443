"""Pages of other origins: none by default, and told so; those of the plan, and only those."""

import json
from typing import Any

import httpx
import pytest

from services.http.asgi import JSON, send_response
from services.http.cross_origin import CrossOrigin
from services.http.keys import Keyring, digest_of
from services.http.serve_errors import ServeErrors

PAGE = "http://localhost:3000"
ASKS = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    await send_response(send, 200, JSON, b"{}")


def guarded(*origins: str) -> CrossOrigin:
    """As Serve's servers have it, and our apps within once more."""
    keys = ServeErrors(
        CrossOrigin(app, origins=origins), keyring=Keyring(digests=(digest_of("k"),))
    )
    return CrossOrigin(keys, origins=origins)


async def ask(answering: Any, method: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=answering)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.request(method, "/v1/models", headers=headers)


@pytest.mark.parametrize(("origins", "named"), [((), "none"), (("https://chat.org",), "chat.org")])
async def test_a_page_that_the_plan_does_not_name_is_told_so_beforehand(
    origins: tuple[str, ...], named: str
) -> None:
    answer = await ask(guarded(*origins), "OPTIONS", origin=PAGE, **ASKS)
    error = json.loads(answer.content)["error"]
    assert (answer.status_code, error["code"]) == (403, "origin_not_allowed")
    assert "serving.cors_origins" in error["message"]
    assert named in error["message"]
    asked = await ask(guarded(*origins), "GET", origin=PAGE, authorization="Bearer k")
    assert "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize(("origins", "told"), [((PAGE,), PAGE), (("*",), "*")])
async def test_a_page_that_the_plan_names_is_let_in_and_reads_errors_too(
    origins: tuple[str, ...], told: str
) -> None:
    before = await ask(guarded(*origins), "OPTIONS", origin=PAGE, **ASKS)
    assert before.status_code == 200
    assert "POST" in before.headers["access-control-allow-methods"]
    assert before.headers["access-control-allow-headers"] == "authorization"
    for key, status in (("k", 200), ("another", 401)):
        answer = await ask(guarded(*origins), "GET", origin=PAGE, authorization=f"Bearer {key}")
        assert answer.status_code == status
        assert answer.headers.get_list("access-control-allow-origin") == [told]


async def test_a_request_of_no_page_is_handed_on() -> None:
    answer = await ask(CrossOrigin(app, origins=()), "OPTIONS")
    assert answer.status_code == 200
