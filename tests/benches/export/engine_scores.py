"""Log-likelihoods of fixed token ids from a real engine that serves one artifact."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from quantize.artifact_check import check_artifact
from quantize.jobs.environment import python_of
from services.engine.child import EngineChild
from services.engine.engine_log import EngineLog
from services.engine.proof import prove_weights
from services.engines.spec import Launch
from services.variants import Variant

_START_TIMEOUT_S = 300.0
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
    with tempfile.TemporaryDirectory(prefix="assay-export-") as scratch:
        launch = Launch(
            python=python_of(variant.engine.environment),
            artifact=artifact,
            manifest=check_artifact(artifact),
            served_name=variant.name,
            port=0,
            api_key="",
            context_length=len(ids[0]) + 8,
            max_sequences=len(ids),
            threads=threads,
            kv_cache_gib=_KV_CACHE_GIB,
            scratch=Path(scratch) / "engine",
        )
        log = EngineLog(Path(scratch) / "engine.log")
        child = EngineChild(spec=variant.engine, launch=launch, log=log)
        try:
            return asyncio.run(_ask(child, ids))
        finally:
            child.stop()


async def _ask(
    child: EngineChild, ids: Sequence[Sequence[int]]
) -> tuple[Scores, Mapping[str, int]]:
    child.spawn()
    timeout = aiohttp.ClientTimeout(total=_START_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        await child.wait_ready(session, _START_TIMEOUT_S)
        held = await child.held_weights(session)
        if held is not None:
            prove_weights(child.spec, child.launch.manifest, held)
        scores = [await _score(child, session, list(row)) for row in ids]
    return scores, held.kinds if held is not None else {}


async def _score(child: EngineChild, session: aiohttp.ClientSession, row: list[int]) -> list[float]:
    body: dict[str, Any] = {
        "model": child.launch.served_name,
        "prompt": row,
        "max_tokens": 1,
        "echo": True,
        "logprobs": 1,
        "temperature": 0,
    }
    url = f"{child.base_url}/v1/completions"
    async with session.post(url, json=body, headers=child.headers) as answer:
        answer.raise_for_status()
        content = await answer.json()
    values: list[float] = content["choices"][0]["logprobs"]["token_logprobs"][1 : len(row)]
    return values
