"""The gateway routes by the request's model, and speaks for variants that cannot."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiohttp import web

from services.engine.child import free_port
from services.gateway import GatewayApp, GatewaySettings, choose_variant
from services.http.errors import RequestError
from tests.services.engine.living import living

NAMES = ("bf16-vllm", "gguf-q4_k_m")
PLACES = 3


def test_the_model_names_the_variant() -> None:
    assert choose_variant(b'{"model": "gguf-q4_k_m", "prompt": "x"}', NAMES) == "gguf-q4_k_m"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"not json", 400, "no valid JSON"),
        (b"\xff\xfe", 400, "no valid JSON"),
        (b"[1]", 400, "no JSON object"),
        (b"[" * 100_000, 400, "no valid JSON"),
        (b'{"prompt": "x"}', 400, "names no model"),
        (b'{"model": 3}', 400, "names no model"),
        (b'{"model": "bf16-vlm"}', 404, "did you mean 'bf16-vllm'"),
        (b'{"model": "gpt-4"}', 404, "valid: bf16-vllm, gguf-q4_k_m"),
    ],
)
def test_a_request_that_names_no_variant_is_told_what_is_wrong(
    body: bytes, status: int, message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        choose_variant(body, NAMES)
    assert caught.value.status == status


GONE = RequestError(503, "the variant is starting or gone; see /healthz").body().decode()


@asynccontextmanager
async def beside_one_that_is_gone() -> AsyncIterator[httpx.AsyncClient]:
    """The gateway, one variant that answers, and one for which what stands before it does."""

    async def answer(request: web.Request) -> web.Response:
        _, variant, route = request.path.split("/", 2)
        if variant == NAMES[0]:
            return web.Response(status=503, text=GONE, content_type="application/json")
        if route == "metrics":
            return web.Response(text="# TYPE up gauge\nup 1\n")
        return web.json_response({"variant": variant, "state": "ready"})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    settings = GatewaySettings(
        base_url=f"http://127.0.0.1:{port}", variants=NAMES, request_timeout_s=30, places=PLACES
    )
    gateway = GatewayApp(settings)
    transport = httpx.ASGITransport(app=gateway)
    try:
        async with (
            living(gateway),
            httpx.AsyncClient(transport=transport, base_url="http://gateway") as client,
        ):
            yield client
    finally:
        await runner.cleanup()


async def test_a_variant_for_which_another_answers_is_stopped_and_the_rest_is_told() -> None:
    async with beside_one_that_is_gone() as client:
        health = await client.get("/healthz")
        models = (await client.get("/v1/models")).json()["data"]
    assert health.status_code == 503
    told = health.json()["variants"]
    assert {name: told[name]["state"] for name in NAMES} == dict(
        zip(NAMES, ("stopped", "ready"), strict=True)
    )
    assert json.loads(told[NAMES[0]]["reason"])["error"]["type"] == "unavailable_error"
    assert [(model["id"], model["state"]) for model in models] == [
        (NAMES[0], "stopped"),
        (NAMES[1], "ready"),
    ]


async def test_one_model_is_described_and_an_unknown_one_is_not_found() -> None:
    async with beside_one_that_is_gone() as client:
        found = await client.get(f"/v1/models/{NAMES[1]}")
        listed = (await client.get("/models/")).json()["data"]
        unknown = await client.get("/v1/models/gpt-4")
    assert found.json() == listed[1]
    error = unknown.json()["error"]
    assert (unknown.status_code, error["code"]) == (404, "model_not_found")
    assert NAMES[0] in error["message"]


async def test_the_service_is_healthy_when_all_of_it_is_and_says_its_version() -> None:
    async with beside_one_that_is_gone() as client:
        for path in ("/health", "/ping", "/v1/health"):
            answer = await client.get(path)
            states = {NAMES[0]: "stopped", NAMES[1]: "ready"}
            assert (answer.status_code, answer.json()) == (503, {"ready": False, "states": states})
        assert (await client.get("/version")).json()["engine"] == "assay"
        assert (await client.head("/v1/models")).content == b""


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/embeddings", "/v1/responses"])
async def test_what_is_not_there_is_told_with_where_the_variants_are(path: str) -> None:
    async with beside_one_that_is_gone() as client:
        answer = await client.post(path, json={})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "unknown_url")
    assert f"/{NAMES[0]}/v1" in error["message"]


async def test_texts_are_tokenized_by_the_variant_that_the_model_names() -> None:
    async with beside_one_that_is_gone() as client:
        nameless = await client.post("/tokenize", json={"prompt": "x"})
        gone = await client.post("/v1/tokenize", json={"model": NAMES[0], "prompt": "x"})
    assert (nameless.status_code, nameless.json()["error"]["param"]) == (400, "model")
    assert gone.status_code == 405


async def test_an_error_is_no_part_of_the_metrics() -> None:
    async with beside_one_that_is_gone() as client:
        answer = await client.get("/metrics")
    assert (answer.status_code, answer.text) == (200, "# TYPE up gauge\nup 1\n")


async def test_no_more_bodies_are_read_at_once_than_the_variants_could_take() -> None:
    arrived, over = asyncio.Semaphore(0), asyncio.Event()

    async def slow_body() -> AsyncIterator[bytes]:
        yield b"{"
        arrived.release()
        await over.wait()

    async with beside_one_that_is_gone() as client:
        url = "/v1/completions"
        slow = [asyncio.create_task(client.post(url, content=slow_body())) for _ in range(PLACES)]
        for _ in range(PLACES):
            await arrived.acquire()
        refused = await client.post(url, json={"model": NAMES[1]})
        over.set()
        answers = await asyncio.gather(*slow)
    assert refused.status_code == 429
    assert "gateway: 3 requests are in flight" in refused.json()["error"]["message"]
    assert {answer.status_code for answer in answers} == {400}
