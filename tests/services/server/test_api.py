"""The HTTP surface of a running server.

covers: services/server/__main__.py, services/server/answer.py, services/server/chat_template.py,
services/server/generation.py, services/server/metrics.py, services/server/responses.py,
services/server/token_text.py
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

from quantize.root import ROOT
from tests.services.server.conftest import MODEL, PYTHON, RunningServer

pytestmark = pytest.mark.engine

GREEDY = {"temperature": 0, "ignore_eos": True}


def events(server: RunningServer, path: str, body: dict[str, object]) -> list[Any]:
    """All events of a stream, which must end with [DONE]."""
    with server.client.stream(
        "POST", path, json={"model": MODEL, "stream": True, **body}
    ) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def metric(server: RunningServer, name: str) -> float:
    lines = server.client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name + " "))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/tokenize"),
        ("GET", "/metrics"),
        ("GET", "/weights"),
        ("GET", "/no-such-route"),
    ],
)
@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wrong"}])
def test_every_route_but_health_needs_the_key(
    server: RunningServer, method: str, path: str, header: dict[str, str]
) -> None:
    answer = httpx.request(method, server.url + path, headers=header)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"


def test_health_is_open(server: RunningServer) -> None:
    assert httpx.get(server.url + "/health").json() == {"status": "ok"}


def test_the_model_is_listed_under_its_served_name(server: RunningServer) -> None:
    data = server.client.get("/v1/models").json()["data"]
    assert [entry["id"] for entry in data] == [MODEL]


def test_weights_say_what_is_held(server: RunningServer) -> None:
    report = server.client.get("/weights").json()
    assert report["tensor_types"] == {"F32": 21}
    assert report["weight_bytes"] > 100_000


def test_another_model_is_a_404_that_names_the_served_one(server: RunningServer) -> None:
    answer = server.client.post("/v1/completions", json={"model": "other", "prompt": "a"})
    assert answer.status_code == 404
    assert MODEL in answer.json()["error"]["message"]


def test_an_unknown_route_is_answered_in_the_error_format(server: RunningServer) -> None:
    answer = server.client.get("/nothing")
    assert answer.status_code == 404
    assert "/nothing" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": [5, 100_000]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [5] * 513, "max_tokens": 0}, "prompt"),
        ({"prompt": [5] * 500, "max_tokens": 13}, "prompt"),
        ({"prompt": "a", "min_tokens": 20}, "min_tokens"),
        ({"prompt": "a", "tools": [{}]}, "tools"),
    ],
)
def test_an_impossible_request_is_a_400_that_names_the_field(
    server: RunningServer, body: dict[str, object], param: str
) -> None:
    answer = server.client.post("/v1/completions", json={"model": MODEL, **body})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_a_string_prompt_gets_bos_and_token_ids_are_taken_as_they_are(
    server: RunningServer,
) -> None:
    ids = server.client.post("/tokenize", json={"prompt": "the cat"}).json()["tokens"]
    assert ids[0] == 1
    text: Any = server.complete(prompt="the cat", max_tokens=6, **GREEDY)
    tokens: Any = server.complete(prompt=ids, max_tokens=6, **GREEDY)
    assert text["choices"] == tokens["choices"]
    without: Any = server.complete(prompt=ids[1:], max_tokens=1, echo=True, logprobs=0)
    assert len(without["choices"][0]["logprobs"]["tokens"]) == len(ids)
    assert without["usage"]["prompt_tokens"] == len(ids) - 1


def test_a_prompt_that_fills_the_context_exactly_is_scored(server: RunningServer) -> None:
    answer: Any = server.complete(prompt=[5] * 512, max_tokens=0, echo=True, logprobs=1)
    choice = answer["choices"][0]
    assert len(choice["logprobs"]["token_logprobs"]) == 512
    assert choice["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 0


def test_several_prompts_with_n_come_back_in_order(server: RunningServer) -> None:
    answer: Any = server.complete(prompt=["the cat", "and"], n=2, max_tokens=4, **GREEDY)
    texts = [choice["text"] for choice in answer["choices"]]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert texts[0] == texts[1]
    assert texts[2] == texts[3]
    assert answer["usage"]["completion_tokens"] == 16
    single: Any = server.complete(prompt="and", max_tokens=4, **GREEDY)
    assert texts[2] == single["choices"][0]["text"]


def test_a_seed_repeats_and_n_choices_differ(server: RunningServer) -> None:
    body = {"prompt": "the", "max_tokens": 12, "seed": 7, "n": 2, "ignore_eos": True}
    first: Any = server.complete(**body)
    assert first["choices"] == server.complete(**body)["choices"]
    assert first["choices"][0]["text"] != first["choices"][1]["text"]
    other: Any = server.complete(**{**body, "seed": 70})
    assert other["choices"][0]["text"] != first["choices"][0]["text"]


def test_a_stop_string_ends_the_text_before_it(server: RunningServer) -> None:
    whole: Any = server.complete(prompt="the cat", max_tokens=20, **GREEDY)
    text = whole["choices"][0]["text"]
    stop = text[6:9]
    cut: Any = server.complete(prompt="the cat", max_tokens=20, stop=[stop, "@@@"], **GREEDY)
    assert cut["choices"][0]["text"] == text[: text.index(stop)]
    assert cut["choices"][0]["finish_reason"] == "stop"
    streamed = events(
        server, "/v1/completions", {"prompt": "the cat", "max_tokens": 20, "stop": stop, **GREEDY}
    )
    parts = [event["choices"][0]["text"] for event in streamed]
    assert "".join(parts) == text[: text.index(stop)]


def test_eos_ends_a_text_unless_it_is_ignored_or_too_early(server: RunningServer) -> None:
    body: dict[str, Any] = {"prompt": "the", "temperature": 0, "logit_bias": {"2": 100}}
    ended: Any = server.complete(**body, max_tokens=5)
    assert ended["usage"]["completion_tokens"] == 1
    assert ended["choices"][0]["finish_reason"] == "stop"
    ignored: Any = server.complete(**body, max_tokens=5, ignore_eos=True)
    assert ignored["usage"]["completion_tokens"] == 5
    late: Any = server.complete(**body, max_tokens=5, min_tokens=3)
    assert late["usage"]["completion_tokens"] == 4


def test_bias_and_penalties_change_the_choice(server: RunningServer) -> None:
    biased: Any = server.complete(
        prompt="the", max_tokens=3, logit_bias={"300": 100}, logprobs=1, temperature=0
    )
    tokens = biased["choices"][0]["logprobs"]["tokens"]
    assert len(set(tokens)) == 1
    penalised: Any = server.complete(
        prompt="the",
        max_tokens=20,
        logit_bias={"300": 25, "301": 24},
        frequency_penalty=2,
        logprobs=0,
        temperature=0,
    )
    assert len(set(penalised["choices"][0]["logprobs"]["tokens"])) == 2


def test_a_repetition_penalty_counts_the_prompt_as_well(server: RunningServer) -> None:
    ids = [1, 300, 301, 302]
    body = {"max_tokens": 1, "logit_bias": {"300": 50, "305": 40}, "logprobs": 0, "temperature": 0}
    free: Any = server.complete(prompt=ids, **body)
    penalised: Any = server.complete(prompt=ids, **body, repetition_penalty=2.0)
    other: Any = server.complete(prompt=[1, 301, 302], **body, repetition_penalty=2.0)
    tokens = [a["choices"][0]["logprobs"]["tokens"] for a in (free, penalised, other)]
    assert tokens[0] == tokens[2] != tokens[1]


def test_no_limit_is_as_long_as_there_is_room(server: RunningServer) -> None:
    answer: Any = server.complete(prompt=[5] * 500, max_tokens=-1, ignore_eos=True)
    assert answer["usage"]["completion_tokens"] == 12


def test_usage_on_the_way_counts_each_choice_so_far(server: RunningServer) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = {"prompt": "the", "max_tokens": 4, "n": 2, "stream_options": options, "ignore_eos": True}
    streamed = events(server, "/v1/completions", body)
    last = {e["choices"][0]["index"]: e["usage"]["completion_tokens"] for e in streamed[:-1]}
    assert last == {0: 4, 1: 4}
    assert streamed[-1]["usage"]["completion_tokens"] == 8
    assert streamed[0]["usage"]["prompt_tokens"] == streamed[-1]["usage"]["prompt_tokens"]


def test_a_stream_says_the_same_as_the_whole_answer(server: RunningServer) -> None:
    body = {"prompt": "the cat", "max_tokens": 10, "logprobs": 2, "echo": True, **GREEDY}
    whole: Any = server.complete(**body)
    streamed = events(
        server, "/v1/completions", {**body, "stream_options": {"include_usage": True}}
    )
    assert streamed[-1]["usage"] == whole["usage"]
    assert streamed[-1]["choices"] == []
    choices = [event["choices"][0] for event in streamed[:-1]]
    expected = whole["choices"][0]
    assert "".join(choice["text"] for choice in choices) == expected["text"]
    assert choices[-1]["finish_reason"] == expected["finish_reason"]
    for key, values in expected["logprobs"].items():
        joined = [value for choice in choices for value in choice["logprobs"][key]]
        assert len(joined) == len(values)
        if key in ("tokens", "text_offset"):
            assert joined == values
        if key == "token_logprobs":
            assert joined[1:] == pytest.approx(values[1:], abs=1e-4)


def test_top_logprobs_hold_the_token_itself_beside_the_likeliest(server: RunningServer) -> None:
    answer: Any = server.complete(prompt="the cat", max_tokens=0, echo=True, logprobs=3)
    logprobs = answer["choices"][0]["logprobs"]
    rows = zip(
        logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
    )
    for token, value, top in list(rows)[1:]:
        assert top[token] >= value
        assert 2 <= len(top) <= 4


def test_tokens_can_be_named_by_their_ids_so_that_none_share_a_name(server: RunningServer) -> None:
    asked: dict[str, Any] = {"prompt": "the cat", "max_tokens": 2, "echo": True, "logprobs": 3}
    asked["temperature"] = 0
    plain: Any = server.complete(**asked)
    named: Any = server.complete(**asked, return_tokens_as_token_ids=True)
    texts, ids = (answer["choices"][0]["logprobs"] for answer in (plain, named))
    names = {name for top in ids["top_logprobs"][1:] for name in top}
    assert all(name.removeprefix("token_id:").isdigit() for name in names.union(ids["tokens"]))
    assert ids["token_logprobs"][1:] == pytest.approx(texts["token_logprobs"][1:], abs=1e-4)
    assert ids["text_offset"] == texts["text_offset"]


def test_chat_renders_the_template_and_streams_a_role_first(server: RunningServer) -> None:
    messages = [{"role": "user", "content": "hi"}]
    body: dict[str, object] = {"messages": messages, "max_completion_tokens": 6, **GREEDY}
    answer = server.client.post("/v1/chat/completions", json={"model": MODEL, **body}).json()
    rendered: Any = server.complete(prompt="[user] hi\n[assistant]", max_tokens=6, **GREEDY)
    text = answer["choices"][0]["message"]["content"]
    assert text == rendered["choices"][0]["text"]
    streamed = events(server, "/v1/chat/completions", body)
    deltas = [event["choices"][0]["delta"] for event in streamed]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta["content"] for delta in deltas) == text


def test_chat_log_probabilities_have_one_entry_per_token(server: RunningServer) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 4,
        "logprobs": True,
        "top_logprobs": 2,
        **GREEDY,
    }
    answer = server.client.post("/v1/chat/completions", json=body).json()
    content = answer["choices"][0]["logprobs"]["content"]
    assert len(content) == 4
    for entry in content:
        assert entry["top_logprobs"][0]["logprob"] == entry["logprob"]
        assert len(entry["top_logprobs"]) == 2


def test_a_disconnect_frees_its_sequences_before_they_are_finished(server: RunningServer) -> None:
    asked = {"prompt": "the", "n": 64, "max_tokens": 500, "ignore_eos": True}
    body = {"model": MODEL, "stream": True, **asked, **GREEDY}
    before = metric(server, "engine_generation_tokens_total")
    with server.client.stream("POST", "/v1/completions", json=body) as answer:
        next(answer.iter_lines())
    deadline = time.monotonic() + 10
    while metric(server, "engine_sequences_running") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert metric(server, "engine_sequences_running") == 0
    assert metric(server, "engine_generation_tokens_total") - before < 64 * 500


def test_sigterm_ends_the_server_cleanly(
    start_server: Callable[..., AbstractContextManager[RunningServer]],
) -> None:
    with start_server() as server:
        server.complete(prompt="the", max_tokens=2)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0


def test_a_model_that_is_no_gguf_file_is_refused_with_a_message(tmp_path: object) -> None:

    command = [
        *(str(PYTHON), "-m", "services.server", "--backend", "llamacpp"),
        *("--model", str(tmp_path), "--served-name", MODEL),
    ]
    environment = {**os.environ, "ASSAY_ENGINE_KEY": "k"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "expected one .gguf file" in done.stderr
