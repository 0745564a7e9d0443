"""Our server on quantized artifacts by emulation: what it serves is what the files hold.

covers: quantize/emulation/in_quantize/score_job.py, quantize/emulation/score_messages.py,
services/engine/proof.py, services/engines/own_server.py, services/engines/spec.py,
services/engines/support.py
"""

import asyncio
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from quantize.artifact.end_tokens import end_tokens
from quantize.emulation.score_messages import SCORE, ArtifactToScore, ScoreRequest, Scores
from quantize.formats.layer_format import InputKind
from quantize.jobs.environment import environment_python, tool_variables
from quantize.jobs.worker import run_job
from services.engine.engine_settings import EngineSettings
from services.engine.running import RunningEngine, running
from services.engine.self_test import SelfTest
from services.variants import find_variant
from tests.quantize.made import make
from tests.quantize.tiny_model import make_tiny_model, random_sentences

pytestmark = pytest.mark.engine

RECIPES = ("bf16", "fp8-kv", "nvfp4", "gguf-bf16")
SERVED = "nvfp4"
KEPT: dict[str, tuple[InputKind, ...]] = {"nvfp4": ("nvfp4",), "fp8-kv": ("nvfp4",)}
SERVER_NATS = 1e-4
GGUF_NATS = 1e-5
START_TIMEOUT_S = 400


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibration text of a few thousand tokens."""
    path = tmp_path_factory.mktemp("text") / "calibration.jsonl"
    texts = (" ".join(random_sentences(8, seed)) for seed in range(1, 30))
    path.write_text("".join(json.dumps({"text": item}) + "\n" for item in texts))
    return path


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory, text: Path) -> dict[str, Path]:
    """A tiny model's artifacts, with what their tools computed."""
    folder = tmp_path_factory.mktemp("emulated")
    model = make_tiny_model(folder / "model")
    made, _ = make(model, folder / "artifacts", text, *RECIPES)
    return {"model": model, **{path.name: path for path in made}}


@pytest.fixture(scope="module")
def scores(artifacts: dict[str, Path], text: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Plain forwards of the decoded artifacts."""
    folder = tmp_path_factory.mktemp("scores")
    request = ScoreRequest(
        model=artifacts["model"],
        text=text,
        sequences=3,
        sequence_length=64,
        artifacts=tuple(
            ArtifactToScore(
                recipe=name, artifact=artifacts[name].resolve(), kept_inputs=KEPT.get(name, ())
            )
            for name in RECIPES
        ),
        threads=1,
    )
    return run_job(SCORE, request, log=folder / "log", variables=tool_variables(1)).reply


def test_the_engine_proves_itself_and_scores_as_a_plain_forward_does(
    artifacts: dict[str, Path], scores: Scores
) -> None:
    settings = EngineSettings(
        artifact=str(artifacts[SERVED].resolve()),
        python=str(environment_python("quantize")),
        context_length=256,
        max_sequences=4,
        threads=1,
        kv_cache_gib=0.1,
        start_timeout_s=START_TIMEOUT_S,
    )
    with running(find_variant(f"{SERVED}-transformers"), settings) as engine:
        assert engine.held is not None
        assert engine.held.weight_bytes == engine.manifest.weight_bytes
        failures, found = asyncio.run(ask(engine, artifacts[SERVED], scores.ids))
    assert {name: why for name, why in failures.items() if why} == {}
    for one, expected in zip(found, scores.scored[SERVED].logprobs, strict=True):
        assert np.abs(np.array(one) - np.array(expected)).mean() < SERVER_NATS


async def ask(
    engine: RunningEngine, artifact: Path, rows: Sequence[Sequence[int]]
) -> tuple[dict[str, str | None], list[list[float]]]:
    """What the self-test finds, and the log-probability of every token after a row's first."""
    async with aiohttp.ClientSession() as session:
        test = SelfTest(
            session, engine.url, engine.headers, engine.model, end_tokens=end_tokens(artifact)
        )
        failures = await test.run(engine.variant.engine.claims)
        return failures, [await score(session, engine, ids) for ids in rows]


async def score(
    session: aiohttp.ClientSession, engine: RunningEngine, ids: Sequence[int]
) -> list[float]:
    body = {"model": engine.model, "prompt": list(ids), "max_tokens": 1, "echo": True}
    async with session.post(
        f"{engine.url}/v1/completions",
        json={**body, "logprobs": 1, "temperature": 0},
        headers=engine.headers,
    ) as answer:
        report = (await answer.json())["choices"][0]["logprobs"]
    values: list[float] = report["token_logprobs"][1 : len(ids)]
    return values


def test_a_gguf_file_decodes_to_the_same_model_as_its_safetensors_source(scores: Scores) -> None:
    one, other = (np.array(scores.scored[name].logprobs) for name in ("bf16", "gguf-bf16"))
    assert np.abs(one - other).max() < GGUF_NATS


def test_rounding_moves_the_scores_by_what_the_formats_cost(scores: Scores) -> None:
    exact = np.array(scores.scored["bf16"].logprobs)
    moved = {
        name: float(np.abs(np.array(scores.scored[name].logprobs) - exact).mean())
        for name in ("fp8-kv", "nvfp4")
    }
    assert 1e-3 < moved["fp8-kv"] < moved["nvfp4"] < math.log(2)


def test_kept_inputs_cost_less_than_rounded_ones(scores: Scores) -> None:
    exact, nvfp4 = np.array(scores.scored["bf16"].logprobs), scores.scored["nvfp4"]
    assert nvfp4.inputs_kept is not None
    weights_alone = float(np.abs(np.array(nvfp4.inputs_kept.logprobs) - exact).mean())
    untouched = scores.scored["fp8-kv"]
    assert untouched.inputs_kept is not None
    assert untouched.inputs_kept.logprobs == untouched.logprobs
    assert 1e-3 < weights_alone < float(np.abs(np.array(nvfp4.logprobs) - exact).mean())
