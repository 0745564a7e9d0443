"""Locust's real page: its users ask the endpoints, and its tables tell of tokens.

covers: loadtest/live/live_locustfile.py
"""

import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.plan_lengths import UniformLengths
from deploy.plan_load import ContaminationLoad
from loadtest.live.live_job import LiveJob, our_targets, start_page
from quantize.jobs.lifeline import end
from tests.fake_engine import Behaviour, running_engine
from tests.loadtest.examples import some_prompts

DEADLINE_S = 90.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def page_of(client: httpx.Client, url: str) -> httpx.Response:
    """The page, once it is there."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return client.get(url)
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.3)


def stats_of(client: httpx.Client, url: str) -> dict[str, Any]:
    """The page's figures, once both endpoints have answered; Locust's own are 2 s older at most."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        told: dict[str, Any] = client.get(f"{url}/stats/requests").json()
        rows = {row["name"]: row for row in told["extended_stats"][0]["data"]}
        answered = all(int(row["answers"]) + int(row["failed"]) > 8 for row in rows.values())
        if answered and any(entry["method"] == "TTFT" for entry in told["stats"]):
            return told
        time.sleep(0.3)
    raise AssertionError("no answers")


def test_the_page_asks_what_the_plan_s_load_asks_and_tells_of_its_tokens(tmp_path: Path) -> None:
    some_prompts().save(tmp_path / "prompts.npz")
    load = ContaminationLoad(
        kind="contamination",
        concurrencies=(2,),
        prompt_tokens=UniformLengths(distribution="uniform", least=20, most=30),
        output_tokens=8,
        shared_prefix_tokens=16,
        long_share=0.25,
        long_prompt_tokens=200,
        long_output_tokens=9,
    )
    behaviours = {"gguf-q8_0": Behaviour(), "bf16-vllm": Behaviour(full=1_000_000)}
    with running_engine(behaviours) as engine:
        targets = our_targets(engine.url, [*behaviours])
        job = LiveJob(
            targets=targets,
            load=load,
            prompts=tmp_path / "prompts.npz",
            series=3,
            request_timeout_s=5,
        )
        port = free_port()
        url, process = f"http://127.0.0.1:{port}", start_page(job, tmp_path, port)
        try:
            with httpx.Client(trust_env=False, timeout=30) as client:
                page = page_of(client, url).text
                assert "gguf-q8-0" in page
                assert "TPOT p50 (ms)" in page
                kinds = [target.user_kind for target in targets]
                begun = client.post(
                    f"{url}/swarm",
                    data={"user_count": 2, "spawn_rate": 2, "user_classes": kinds},
                )
                assert begun.json()["success"]
                told = stats_of(client, url)
        finally:
            end(process)
    rows = {row["name"]: row for row in told["extended_stats"][0]["data"]}
    assert rows["bf16-vllm"]["answers"] == "0"
    assert rows["gguf-q8_0"]["failed"] == "0"
    assert float(rows["gguf-q8_0"]["ttft_p50"]) > 0
    entries = {(entry["method"], entry["name"]) for entry in told["stats"]}
    assert {(kind, "gguf-q8_0") for kind in ("POST", "TTFT", "TPOT")} <= entries
    assert ("TTFT", "bf16-vllm") not in entries
    assert any("HTTP 429: full" in str(error) for error in told["errors"])
    asked = engine.asked["gguf-q8_0"]
    long = [body for body in asked if body["max_tokens"] == 9]
    short = [body for body in asked if body["max_tokens"] == 8]
    assert {len(body["prompt"]) for body in long} == {200}
    assert len(short) == pytest.approx(3 * len(long), abs=3)
    assert all(36 <= len(body["prompt"]) <= 46 for body in short)
    assert len({len(body["prompt"]) for body in short}) > 2
    assert len({tuple(body["prompt"][:16]) for body in short}) == 1
    assert len({tuple(body["prompt"]) for body in asked}) == len(asked)


def test_our_variants_are_asked_at_their_own_bases() -> None:
    (target,) = our_targets("http://127.0.0.1:8000", ["gguf-q8_0"])
    assert target.url == "http://127.0.0.1:8000/gguf-q8_0"
    assert target.user_kind == "gguf-q8-0"
