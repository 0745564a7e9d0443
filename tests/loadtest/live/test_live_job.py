"""Locust's real page: its users ask the endpoints, and its tables tell of tokens.

covers: loadtest/live/live_locustfile.py
"""

import socket
import time
from pathlib import Path
from typing import Any

import httpx

from loadtest.dialect import Dialect
from loadtest.live.live_job import LiveJob, LiveTarget, our_targets, start_page
from loadtest.texts import save_texts
from quantize.jobs.lifeline import end
from tests.loadtest.any_endpoint.foreign_endpoint import foreign_endpoint

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
        answered = all(int(row["answers"]) + int(row["failed"]) > 2 for row in rows.values())
        if answered and any(entry["method"] == "TTFT" for entry in told["stats"]):
            return told
        time.sleep(0.3)
    raise AssertionError("no answers")


def test_the_page_has_a_user_for_each_endpoint_and_tells_of_their_tokens(tmp_path: Path) -> None:
    save_texts(tmp_path / "texts.json", ["one text", "another text"])
    dialect = Dialect(api="completions", model="their-model")
    with foreign_endpoint() as good, foreign_endpoint(busy=True) as busy:
        targets = (
            LiveTarget(name="gguf-q8_0", url=good.url, dialect=dialect),
            LiveTarget(name="bf16-vllm", url=busy.url, dialect=dialect),
        )
        job = LiveJob(
            targets=targets, texts=tmp_path / "texts.json", output_tokens=8, request_timeout_s=5
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
    assert any("HTTP 429: slow down" in str(error) for error in told["errors"])


def test_our_variants_are_asked_at_their_own_bases() -> None:
    (target,) = our_targets("http://127.0.0.1:8000", ["gguf-q8_0"])
    assert target.url == "http://127.0.0.1:8000/gguf-q8_0/v1"
    assert (target.dialect.model, target.dialect.exact) == ("gguf-q8_0", True)
