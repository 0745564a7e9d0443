"""The running service, met the way its users meet it: with OpenAI's own client, over HTTP.

covers: deploy/ray_cluster/cluster.py, services/deployments.py,
services/engines/llamacpp_engine.py, services/engines/vllm_engine.py
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.chat import ChatCompletionUserMessageParam

from deploy.plan import load_plan
from tests.conftest import PLAN

pytestmark = pytest.mark.engine
VARIANTS = load_plan(str(PLAN)).variants
PROMPT = "The capital of"
_USAGE = {"include_usage": True, "continuous_usage_stats": True}
_ASKED = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
CLIENT_BODIES: list[tuple[str, dict[str, Any]]] = [
    # vLLM's own benchmark client, GuideLLM, a voice agent, an editor, a chat application.
    (
        "completions",
        {
            "prompt": PROMPT,
            "repetition_penalty": 1.0,
            "max_tokens": 4,
            "logprobs": None,
            "stream": True,
            "ignore_eos": True,
            "stop": None,
            "stream_options": _USAGE,
        },
    ),
    (
        "chat/completions",
        {
            "messages": _ASKED,
            "max_completion_tokens": 4,
            "stream": True,
            "metadata": None,
            "store": None,
            "stream_options": _USAGE,
            "parallel_tool_calls": False,
        },
    ),
    (
        "chat/completions",
        {
            "messages": _ASKED,
            "max_tokens": 4,
            "presence_penalty": 0,
            "top_p": 1,
            "n": 1,
            "response_format": {"type": "text"},
            "tools": [],
            "tool_choice": "auto",
            "user": "u",
        },
    ),
    ("completions", {"prompt": PROMPT, "max_tokens": 4, "min_p": 0.1, "repetition_penalty": 1.1}),
]


@pytest.fixture
def client(service: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{service}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def test_the_gateway_lists_every_variant_with_recipe_engine_and_state(client: OpenAI) -> None:
    models = {model.id: model.model_dump() for model in client.models.list()}
    assert set(models) == set(VARIANTS)
    assert all(model["state"] == "ready" for model in models.values())
    assert models["gguf-q8_0"]["engine"] == "llamacpp"
    assert models["gptq-int4-g128-vllm"]["bits"] < 5


@pytest.mark.parametrize("variant", VARIANTS)
def test_completions_stream_the_same_text_they_return_whole(client: OpenAI, variant: str) -> None:
    whole = client.completions.create(model=variant, prompt=PROMPT, max_tokens=12, temperature=0)
    stream = client.completions.create(
        model=variant, prompt=PROMPT, max_tokens=12, temperature=0, stream=True
    )
    pieces = [chunk.choices[0].text for chunk in stream if chunk.choices]
    assert "".join(pieces) == whole.choices[0].text
    assert len(pieces) > 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_chat_streams_the_same_text_it_returns_whole(client: OpenAI, variant: str) -> None:
    messages = [ChatCompletionUserMessageParam(role="user", content="Hello, who are you?")]
    whole = client.chat.completions.create(
        model=variant,
        messages=messages,
        max_tokens=12,
        temperature=0,
    )
    stream = client.chat.completions.create(
        model=variant,
        messages=messages,
        max_tokens=12,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_claim_of_every_engine_passed_its_probe(service: str, variant: str) -> None:
    health = httpx.get(f"{service}/{variant}/healthz", timeout=30).json()
    assert health["failed_claims"] == {}
    assert {"echo_logprobs", "ignore_eos", "token_ids"} <= set(health["capabilities"])
    assert health["memory_bytes"] > health["held_weight_bytes"] > 0


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name.endswith("-vllm")])
def test_vllm_names_the_kernels_that_its_table_expects_here(service: str, variant: str) -> None:
    kernels = httpx.get(f"{service}/{variant}/healthz", timeout=30).json()["kernels"]
    assert kernels["source"] == "engine"
    assert kernels["remarks"] == []
    quantized = [item for item in kernels["linear"] if "qkv_proj" in item["names"]]
    assert [item["kernel"] is None for item in quantized] == [False]
    assert sum(attention["layers"] for attention in kernels["attention"]) > 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_answers_as_its_weights_do(service: str, variant: str) -> None:
    agreement = httpx.get(f"{service}/{variant}/healthz", timeout=30).json()["agreement"]
    assert (agreement["state"], agreement["reasons"]) == ("agrees", [])
    assert agreement["tokens"] > 800
    assert 0 < agreement["mean_nats"] < agreement["limit_nats"]


def test_an_unknown_model_is_a_404_that_names_the_nearest(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'gguf-q2_k'"):
        client.completions.create(model="gguf-q2k", prompt=PROMPT)


@pytest.mark.parametrize("variant", ["bf16-vllm", "gguf-q8_0"])
def test_a_wrong_field_is_a_400_that_names_it(client: OpenAI, variant: str) -> None:
    with pytest.raises(BadRequestError, match="max_tokens"):
        client.completions.create(model=variant, prompt=PROMPT, max_tokens=-2)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("path", "body"), CLIENT_BODIES)
def test_bodies_as_clients_send_them_are_answered_by_every_variant(
    service: str, variant: str, path: str, body: dict[str, Any]
) -> None:
    answer = httpx.post(f"{service}/v1/{path}", json={"model": variant, **body}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert '"error"' not in answer.text
    if body.get("stream"):
        assert answer.text.rstrip().endswith("data: [DONE]")


def test_one_chat_is_one_prompt_on_every_variant(service: str) -> None:
    parts = [{"type": "text", "text": "it's <b>5</b>"}, {"type": "text", "text": " & more"}]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    body = {"messages": messages, "max_tokens": 1}
    counts = {
        variant: httpx.post(
            f"{service}/{variant}/v1/chat/completions", json={"model": variant, **body}, timeout=60
        ).json()["usage"]["prompt_tokens"]
        for variant in VARIANTS
    }
    assert len(set(counts.values())) == 1, counts


@pytest.mark.parametrize("variant", ["bf16-vllm", "gguf-q8_0"])
def test_what_is_wrong_with_a_request_is_no_stream(service: str, variant: str) -> None:
    body = {"model": variant, "prompt": [10**9], "stream": True}
    answer = httpx.post(f"{service}/v1/completions", json=body, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_body_that_is_no_json_is_a_400(service: str) -> None:
    answer = httpx.post(f"{service}/v1/completions", content=b"{", timeout=30)
    assert answer.status_code == 400
    assert "JSON" in answer.json()["error"]["message"]


def test_every_answer_carries_one_request_id(service: str) -> None:
    for path in ("/v1/models", "/gguf-q8_0/healthz", "/no-such-route"):
        answer = httpx.get(f"{service}{path}", headers={"x-request-id": "abc-1"}, timeout=60)
        assert answer.headers.get_list("x-request-id") == ["abc-1"]


def test_the_metrics_of_all_engines_stand_under_one_roof(service: str) -> None:
    text = httpx.get(f"{service}/metrics", timeout=60).text
    for variant in VARIANTS:
        assert f'assay_variant_up{{variant="{variant}"}} 1.0' in text
    assert "vllm:" in text


def test_a_stream_through_the_gateway_ends_with_done(service: str) -> None:
    body = {"model": "gguf-q8_0", "prompt": PROMPT, "max_tokens": 3, "stream": True}
    with httpx.stream("POST", f"{service}/v1/completions", json=body, timeout=60) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(json.loads(line.removeprefix("data: ")) for line in lines[:-1])
