"""The server's log-probabilities against the same model in plain NumPy.

covers: services/server/in_llamacpp/llamacpp_backend.py
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

from tests.services.server.conftest import RunningServer
from tests.services.server.tiny_llama import TinyLlama

pytestmark = pytest.mark.engine

RNG = np.random.default_rng(5)
TOLERANCE_NATS = 1e-4
HALF_PRECISION_CACHE_NATS = 1e-2


def random_prompt(length: int, *, bos: bool = True) -> list[int]:
    ids: list[int] = RNG.integers(3, 512, length).tolist()
    return [1, *ids[1:]] if bos else ids


def expected_scores(tiny: TinyLlama, ids: list[int]) -> np.ndarray:
    logprobs = tiny.logprobs(ids)
    return np.asarray(logprobs[np.arange(len(ids) - 1), ids[1:]])


def echoed(server: RunningServer, ids: list[int], **body: object) -> Any:
    fields = {"max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0, **body}
    answer: Any = server.complete(prompt=ids, **fields)
    return answer["choices"][0]["logprobs"]


@pytest.mark.parametrize("bos", [True, False])
def test_echoed_scores_equal_the_oracle_with_and_without_bos(
    server: RunningServer, tiny: TinyLlama, bos: bool
) -> None:
    ids = random_prompt(40, bos=bos)
    logprobs = echoed(server, ids)
    assert logprobs["token_logprobs"][0] is None
    assert logprobs["top_logprobs"][0] is None
    found = np.array(logprobs["token_logprobs"][1:40])
    assert np.abs(found - expected_scores(tiny, ids)).max() < TOLERANCE_NATS
    best = tiny.logprobs(ids).max(axis=1)
    tops = np.array([max(top.values()) for top in logprobs["top_logprobs"][1:]])
    assert np.abs(tops - best).max() < TOLERANCE_NATS


def test_a_prompt_longer_than_one_batch_is_scored_like_a_short_one(
    start_server: Callable[..., AbstractContextManager[RunningServer]], tiny: TinyLlama
) -> None:
    ids = random_prompt(900)
    with start_server("--context-length", "1024", "--kv-cache-dtype", "f32") as server:
        found = np.array(echoed(server, ids, max_tokens=0)["token_logprobs"][1:])
    assert len(found) == 899
    assert np.abs(found - expected_scores(tiny, ids)).max() < TOLERANCE_NATS


def test_greedy_tokens_equal_the_oracles(server: RunningServer, tiny: TinyLlama) -> None:
    ids = random_prompt(12)
    logprobs = echoed(server, ids, max_tokens=8, ignore_eos=True)
    expected = ids + tiny.greedy(ids, 8)
    found = np.array(logprobs["token_logprobs"][12:])
    assert np.abs(found - expected_scores(tiny, expected)[11:]).max() < TOLERANCE_NATS


def test_a_sequence_in_a_full_batch_scores_as_it_does_alone(server: RunningServer) -> None:
    prompts = [random_prompt(length) for length in range(20, 36)]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda ids: echoed(server, ids, max_tokens=6), prompts))
    # Prompts of another kind in every slot, so that nothing of the first round is reused.
    for _ in range(16):
        echoed(server, random_prompt(20))
    alone = [echoed(server, ids, max_tokens=6) for ids in prompts]
    for one, other in zip(alone, together, strict=True):
        difference = np.array(one["token_logprobs"][1:]) - np.array(other["token_logprobs"][1:])
        assert np.abs(difference).max() < TOLERANCE_NATS


def test_decoding_beside_a_long_prompt_scores_as_alone(
    server: RunningServer, tiny: TinyLlama
) -> None:
    short, long = random_prompt(10), random_prompt(450)
    with ThreadPoolExecutor(9) as pool:
        decoding = [
            pool.submit(echoed, server, short, max_tokens=60, ignore_eos=True) for _ in range(8)
        ]
        beside = echoed(server, long)
        results = [future.result() for future in decoding]
    found = np.array(beside["token_logprobs"][1:450])
    assert np.abs(found - expected_scores(tiny, long)).max() < TOLERANCE_NATS
    expected = expected_scores(tiny, short + tiny.greedy(short, 60))
    for logprobs in results:
        assert np.abs(np.array(logprobs["token_logprobs"][1:]) - expected).max() < TOLERANCE_NATS


def test_a_half_precision_cache_moves_scores_only_a_little(
    start_server: Callable[..., AbstractContextManager[RunningServer]], tiny: TinyLlama
) -> None:
    ids = random_prompt(200)
    with start_server("--max-sequences", "2") as server:
        found = np.array(echoed(server, ids)["token_logprobs"][1:200])
    assert np.abs(found - expected_scores(tiny, ids)).max() < HALF_PRECISION_CACHE_NATS


def test_a_reused_prefix_scores_as_a_fresh_one(server: RunningServer, tiny: TinyLlama) -> None:
    shared = random_prompt(60)
    for _ in range(4):
        ids = shared + random_prompt(5, bos=False)
        found = np.array(echoed(server, ids)["token_logprobs"][1 : len(ids)])
        assert np.abs(found - expected_scores(tiny, ids)).max() < TOLERANCE_NATS
    reused = [
        line
        for line in server.client.get("/metrics").text.splitlines()
        if line.startswith("engine_reused_tokens_total")
    ]
    assert float(reused[0].split()[1]) >= 3 * 58


def test_reused_prefixes_give_the_same_generated_text(server: RunningServer) -> None:
    ids = random_prompt(50)
    body = {"prompt": ids, "max_tokens": 12, "temperature": 0, "ignore_eos": True}
    first: Any = server.complete(**body)
    again: Any = server.complete(**body)
    assert first["choices"][0]["text"] == again["choices"][0]["text"]
