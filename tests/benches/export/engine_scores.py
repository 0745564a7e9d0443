"""Log-likelihoods of fixed token ids from a real engine that serves one artifact."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from quantize.jobs.environment import python_of
from services.engine.engine_settings import EngineSettings
from services.engine.running import RunningEngine, running
from services.variants import Variant

_START_TIMEOUT_S = 300.0
_ANSWER_TIMEOUT_S = 300.0
_KV_CACHE_GIB = 0.5

Scores = list[list[float]]


def engine_scores(
    variant: Variant, artifact: Path, ids: Sequence[Sequence[int]], threads: int
) -> tuple[Scores, Mapping[str, int]]:
    """Start the variant's engine, score ``ids`` ``(sequences, tokens)``, stop it again.

    Returns the log-probability of every token after the first, ``(sequences, tokens - 1)``, and
    how many layers the engine holds of which kind, by its own names.

    Raises:
        EngineError: the engine does not start or does not answer; with the end of its log.
        ArtifactError: the artifact, or what the engine holds of it, is not what its manifest says.
    """
    settings = EngineSettings(
        artifact=str(artifact),
        python=str(python_of(variant.engine.environment)),
        context_length=len(ids[0]) + 8,
        max_sequences=len(ids),
        threads=threads,
        kv_cache_gib=_KV_CACHE_GIB,
        start_timeout_s=_START_TIMEOUT_S,
    )
    with running(variant, settings) as engine:
        scores = asyncio.run(_ask(engine, ids))
        return scores, engine.held.kinds if engine.held is not None else {}


async def _ask(engine: RunningEngine, ids: Sequence[Sequence[int]]) -> Scores:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return [await _score(engine, session, list(row)) for row in ids]


async def _score(
    engine: RunningEngine, session: aiohttp.ClientSession, row: list[int]
) -> list[float]:
    body: dict[str, Any] = {
        "model": engine.model,
        "prompt": row,
        "max_tokens": 1,
        "echo": True,
        "logprobs": 1,
        "temperature": 0,
    }
    url = f"{engine.url}/v1/completions"
    async with session.post(url, json=body, headers=engine.headers) as answer:
        answer.raise_for_status()
        content = await answer.json()
    values: list[float] = content["choices"][0]["logprobs"]["token_logprobs"][1 : len(row)]
    return values
