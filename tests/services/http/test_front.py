"""Whatever becomes of a request, it is answered in OpenAI's JSON and leaves one line in the log.

covers: services/http/access_log.py, services/http/asgi.py
"""

import asyncio
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from services.http.access_log import AccessLog
from services.http.asgi import Receive, Scope, Send, send_response
from services.http.errors import RequestError
from services.http.front import Front
from services.http.keys import Keyring, digest_of

KEY = "a-key-of-this-deployment"
SECRET = "what the prompt says"


async def handle(scope: Scope, _receive: Receive, send: Send, path: str) -> None:
    match path:
        case "/ok" | "/healthz":
            await send_response(send, 200, [], b"fine")
        case "/refused":
            raise RequestError(404, "not here")
        case "/left":
            raise ConnectionResetError
        case "/broken":
            raise KeyError(SECRET)
        case "/broken-off":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise ConnectionResetError
        case "/cancelled":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise asyncio.CancelledError
        case "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise KeyError(SECRET)


async def ask(
    log: Path, path: str, key: str = KEY, method: str = "POST"
) -> list[MutableMapping[str, Any]]:
    """What is sent for one request."""
    access = AccessLog(log)
    ring = Keyring(digests=(digest_of(KEY),))
    front = Front(name="some-variant", keyring=ring, log=access, handle=handle)
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"x-request-id", b"id-1")]
    scope = {"type": "http", "method": method, "path": f"/v{path}", "root_path": "/v"}
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": SECRET.encode()}

    try:
        await front.answer({**scope, "headers": headers}, receive, send)
    finally:
        access.close()
    return sent


@pytest.mark.parametrize(
    ("path", "status", "size"), [("/ok", 200, 4), ("/refused", 404, None), ("/broken", 500, None)]
)
async def test_an_answer_leaves_one_line_without_a_word_of_it(
    tmp_path: Path, path: str, status: int, size: int | None
) -> None:
    sent = await ask(tmp_path / "log", path)
    assert sent[0]["status"] == status
    (line,) = (tmp_path / "log").read_text().splitlines()
    told = json.loads(line)
    expected = {"id": "id-1", "variant": "some-variant", "method": "POST", "path": path}
    assert told.items() >= {**expected, "status": status}.items()
    assert told["bytes"] == len(sent[1]["body"]) == (size or len(sent[1]["body"]))
    assert 0 <= told["ttfb_s"] <= told["duration_s"]
    assert SECRET not in line
    assert KEY not in line


async def test_head_is_answered_as_get_without_a_body(tmp_path: Path) -> None:
    for path in ("/ok", "/refused"):
        whole = await ask(tmp_path / "log", path, method="GET")
        head = await ask(tmp_path / "log", path, method="HEAD")
        assert head[0] == whole[0]
        assert whole[1]["body"]
        assert [message["body"] for message in head[1:]] == [b""]


async def test_a_path_is_known_by_its_name_however_it_is_written(tmp_path: Path) -> None:
    for path in ("//v1/ok/", "/v1//ok"):
        assert (await ask(tmp_path / "log", path))[0]["status"] == 200
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["//v1/ok/", "/v1//ok"]


async def test_an_error_of_ours_is_a_500_that_shows_nothing_of_it(tmp_path: Path) -> None:
    sent = await ask(tmp_path / "log", "/broken")
    error = json.loads(sent[1]["body"])["error"]
    assert (error["type"], SECRET in str(error)) == ("server_error", False)


async def test_an_error_of_ours_within_an_answer_breaks_it_off(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        await ask(tmp_path / "log", "/late")
    assert json.loads((tmp_path / "log").read_text())["status"] == 500


async def test_a_client_that_left_is_logged_as_such(tmp_path: Path) -> None:
    assert await ask(tmp_path / "log", "/left") == []
    assert json.loads((tmp_path / "log").read_text())["status"] == 499


async def test_an_answer_that_was_not_completed_is_not_logged_as_the_success_it_began_as(
    tmp_path: Path,
) -> None:
    await ask(tmp_path / "log", "/broken-off")
    with pytest.raises(asyncio.CancelledError):
        await ask(tmp_path / "log", "/cancelled")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == [502, 499]


async def test_a_wrong_key_opens_health_alone(tmp_path: Path) -> None:
    for path in ("/ok", "/refused", "/broken"):
        assert (await ask(tmp_path / "log", path, "another-key"))[0]["status"] == 401
    assert (await ask(tmp_path / "log", "/healthz", "another-key"))[0]["status"] == 200


async def test_a_log_that_cannot_be_written_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    assert (await ask(tmp_path / "log", "/ok"))[0]["status"] == 200


def test_the_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.http.access_log.MAX_BYTES", 1000)
    log = AccessLog(tmp_path / "log")
    for number in range(200):
        log.write({"id": f"request-{number:05d}"})
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["log", "log.1", "log.2", "log.3"]
    assert all(path.stat().st_size <= 1000 for path in files)
    assert "request-00199" in files[0].read_text()
