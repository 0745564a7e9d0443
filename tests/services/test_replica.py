"""The app of one variant, in front of a real child process."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.engine.child import EngineChild
from services.engine.life_cycle import State
from services.engine.supervisor import Supervisor
from services.http.keys import digest_of
from services.replica import VariantApp
from tests.services.engine.living import living
from tests.services.engine.test_child import spec
from tests.services.engine.test_supervisor import supervisor, until

Message = MutableMapping[str, Any]
KEY = "a-key-of-this-deployment"


@asynccontextmanager
async def serving(
    tmp_path: Path, *options: str, **changes: Any
) -> AsyncIterator[tuple[VariantApp, Supervisor]]:
    claims, counts = changes.pop("claims", frozenset()), changes.pop("counts_unasked", False)
    engine = replace(spec(*options), claims=claims, counts_unasked=counts)
    watched = supervisor(tmp_path, engine, **changes)
    app = VariantApp(watched)
    async with living(app):
        await until(watched, State.READY)
        yield app, watched


async def ask(app: VariantApp, method: str, path: str, receive: Any, *headers: Any) -> Any:
    """The status and the JSON that one request is answered with."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body)


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def test_what_no_engine_is_asked_is_answered_under_every_name_of_its_route(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as (app, _watched):
        for path in ("/v1/models", "/v1/models/", "/v1//models", "/models"):
            status, models = await ask(app, "GET", path, never)
            assert (status, [model["id"] for model in models["data"]]) == (200, ["some-variant"])
        status, model = await ask(app, "GET", "/v1/models/some-variant", never)
        assert (status, model) == (200, models["data"][0])
        assert (model["state"], model["max_model_len"]) == ("ready", 512)
        for path in ("/health", "/v1/health", "/ping"):
            told = {"ready": True, "state": "ready"}
            assert await ask(app, "GET", path, never) == (200, told)
        assert await ask(app, "GET", "/version", never) == (200, {"version": "1", "engine": "fake"})


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/models/gpt-4", 404, "model_not_found"),
        ("POST", "/v1/embeddings", 404, "unknown_url"),
        ("POST", "/v1/engines/some-variant/completions", 404, "unknown_url"),
        ("GET", "/v1/completions", 405, None),
    ],
)
async def test_what_is_not_there_says_so(
    tmp_path: Path, method: str, path: str, status: int, code: str | None
) -> None:
    async with serving(tmp_path) as (app, _watched):
        found, body = await ask(app, method, path, never)
    assert (found, body["error"]["code"]) == (status, code)


async def test_a_variant_that_is_not_ready_is_listed_and_not_healthy(tmp_path: Path) -> None:
    app = VariantApp(supervisor(tmp_path, spec()))
    told = {"ready": False, "state": "starting"}
    assert await ask(app, "GET", "/health", never) == (503, told)
    status, models = await ask(app, "GET", "/v1/models", never)
    assert (status, models["data"][0]["state"]) == (200, "starting")


async def test_a_request_whose_engine_ends_while_its_body_comes_is_told_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as (app, watched):
        process = watched.ready_child().process
        assert process is not None

        async def slowly() -> Message:
            if process.poll() is not None:
                return await never()
            process.kill()
            await until(watched, State.STARTING)
            return {"type": "http.request", "body": b"{}"}

        status, body = await ask(app, "POST", "/v1/completions", slowly)
    assert status == 503
    assert "some-variant is starting" in body["error"]["message"]


async def test_strangers_are_told_the_state_alone_and_nothing_is_measured_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[EngineChild] = []
    read = EngineChild.memory_bytes

    def measure(child: EngineChild) -> int | None:
        measured.append(child)
        return read(child)

    monkeypatch.setattr(EngineChild, "memory_bytes", measure)
    async with serving(tmp_path, key_digests=(digest_of(KEY),)) as (app, _watched):
        stranger = await ask(app, "GET", "/healthz", never)
        assert measured == []
        header = (b"authorization", f"Bearer {KEY}".encode())
        status, told = await ask(app, "GET", "/healthz", never, header)
    assert stranger == (200, {"variant": "some-variant", "state": "ready"})
    assert (status, told["state"]) == (200, "ready")
    assert told["memory_bytes"] > 1e6
    assert len(measured) == 1


async def test_an_engine_that_owes_an_answer_and_computes_nothing_is_replaced(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, "--never-completes", hang_timeout_s=1.5) as (app, watched):
        await asyncio.sleep(3)
        assert watched.restarts == 0

        sent = [{"type": "http.request", "body": b'{"model": "m", "prompt": "x"}'}]

        async def once() -> Message:
            return sent.pop() if sent else await never()

        asked = asyncio.create_task(ask(app, "POST", "/v1/completions", once))
        await until(watched, State.STARTING)
        status, _ = await asked
        assert status == 502


async def test_an_engine_is_asked_without_what_changes_nothing(tmp_path: Path) -> None:
    sent = {
        "model": None,
        "prompt": "é",
        "store": False,
        "top_k": -1,
        "min_p": 0,
        "seed": -1,
        "n": None,
    }

    async def receive() -> Message:
        if bodies:
            return {"type": "http.request", "body": bodies.pop()}
        return await never()

    sampling = {"temperature": 0.6, "top_k": 5, "min_p": 0.1}
    async with serving(tmp_path, sampling=sampling) as (app, _watched):
        bodies = [json.dumps(sent).encode()]
        status, told = await ask(app, "POST", "/v1/completions", receive)
        bodies = [json.dumps({"prompt": "a", "stream": True, "refuses": True}).encode()]
        refused = await ask(app, "POST", "/v1/completions", receive)
    assert status == 200
    # What the request says counts before what the plan says, neutral or not.
    assert told["given"] == {
        "model": "some-variant",
        "prompt": "é",
        "temperature": 0.6,
        "seed": 2**63 - 1,
    }
    assert refused[0] == 400
    assert refused[1]["error"]["message"] == "no"


@pytest.mark.parametrize(("limit", "counts", "told"), [(0, True, 0), (0, False, 1), (1, True, 1)])
async def test_a_token_that_was_not_asked_for_is_not_counted(
    tmp_path: Path, limit: int, counts: bool, told: int
) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    content = {"prompt": [7], "echo": True, "max_tokens": limit, "usage": usage}
    async with serving(tmp_path, counts_unasked=counts) as (app, _watched):
        status, answer = await ask_once(app, "/v1/completions", content)
    assert (status, answer["usage"]["completion_tokens"]) == (200, told)


TOOLS = [{"type": "function", "function": {"name": "time", "parameters": {"type": "object"}}}]
CHAT = {"model": "m", "messages": [{"role": "user", "content": "a"}], "tools": TOOLS}


async def ask_once(app: VariantApp, path: str, content: Mapping[str, Any]) -> Any:
    bodies = [json.dumps(content).encode()]

    async def receive() -> Message:
        return {"type": "http.request", "body": bodies.pop()} if bodies else await never()

    return await ask(app, "POST", path, receive)


@pytest.mark.parametrize("holds", [False, True])
async def test_a_format_goes_to_engines_that_prove_to_hold_to_one_alone(
    tmp_path: Path, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, claims=frozenset({"response_format"})) as (app, watched):
        # The stand-in writes no JSON, so that its self-test has failed.
        assert watched.status.capabilities["response_format"]
        if holds:
            monkeypatch.setitem(watched.status.capabilities, "response_format", None)
        content = {"prompt": "a", "response_format": {"type": "json_object"}}
        status, told = await ask_once(app, "/v1/completions", content)
        _, chat = await ask_once(app, "/v1/chat/completions", {**CHAT, "tools": None})
    if holds:
        schema = told["given"]["response_format"]["json_schema"]["schema"]
        assert (status, schema) == (200, {"type": "object"})
    else:
        assert (status, told["error"]["param"]) == (400, "response_format")
    assert "tools" not in chat["given"]


async def test_an_engine_is_asked_with_tools_as_what_its_template_writes(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "chat_template.jinja").write_text("{{ tools }}<tool_call>")
    async with serving(tmp_path) as (app, _watched):
        status, told = await ask_once(app, "/v1/chat/completions", CHAT)
        required = {**CHAT, "tool_choice": "required"}
        refused = await ask_once(app, "/v1/chat/completions", required)
    assert (status, told["given"]["chat_template_kwargs"]) == (200, {"tools": TOOLS})
    assert "tools" not in told["given"]
    assert (refused[0], refused[1]["error"]["param"]) == (400, "tool_choice")


async def test_a_model_whose_template_has_no_tools_takes_none(tmp_path: Path) -> None:
    async with serving(tmp_path) as (app, _watched):
        status, told = await ask_once(app, "/v1/chat/completions", CHAT)
        taken, _ = await ask_once(app, "/v1/chat/completions", {**CHAT, "tool_choice": "none"})
    assert (status, told["error"]["param"], taken) == (400, "tools", 200)
