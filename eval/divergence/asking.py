"""Asks one variant's endpoint for the log-probabilities of every text, and for greedy answers.

All texts go out at the plan's concurrency, so the batches are those of the other questions.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from eval.divergence.asked_texts import ANSWER_TOKENS, QUESTION_TOKENS, AskedText
from eval.divergence.scored_tokens import NO_TOKEN, TOP, ScoredTokens

# A full queue (429) drains meanwhile.
_WAITS_S = (1.0, 1.0, 2.0, 4.0, 8.0)
_AGAIN = frozenset({429, 502, 503, 504})
_ID = "token_id:"

Row = tuple[list[float], list[dict[str, float]]]
"""Of every token after the first: its log-probability, and those of the likeliest."""


class DivergenceError(ValueError):
    """An endpoint did not score the texts; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a variant is asked, and how."""

    variant: str
    url: str
    headers: Mapping[str, str]
    concurrency: int
    timeout_s: float


def score_texts(target: Target, texts: Sequence[AskedText]) -> ScoredTokens:
    """Ask for all texts. Blocks for seconds to minutes.

    Raises:
        DivergenceError: the endpoint answers nothing, an error, or no log-probabilities.
    """
    return asyncio.run(_ask_all(target, texts))


async def _ask_all(target: Target, texts: Sequence[AskedText]) -> ScoredTokens:
    limits = httpx.Limits(max_connections=target.concurrency)
    slots = asyncio.Semaphore(target.concurrency)
    async with httpx.AsyncClient(
        trust_env=False, timeout=target.timeout_s, limits=limits, headers=target.headers
    ) as client:

        async def ask(body: dict[str, Any]) -> Any:
            async with slots:
                return await _post(client, target, body)

        scored = await asyncio.gather(*(ask(_scored(target, text)) for text in texts))
        asked = [number for number, text in enumerate(texts) if text.answered]
        written = await asyncio.gather(*(ask(_answered(target, texts[it])) for it in asked))
    rows = [_row(target, it, len(text.ids)) for it, text in zip(scored, texts, strict=True)]
    return _as_arrays(rows, [_answer(target, it) for it in written], asked)


def _body(target: Target, prompt: Sequence[int]) -> dict[str, Any]:
    return {
        "model": target.variant,
        "prompt": list(prompt),
        "temperature": 0,
        "return_tokens_as_token_ids": True,
    }


def _scored(target: Target, text: AskedText) -> dict[str, Any]:
    return {**_body(target, text.ids), "max_tokens": 1, "echo": True, "logprobs": TOP}


def _answered(target: Target, text: AskedText) -> dict[str, Any]:
    question = text.ids[:QUESTION_TOKENS]
    return {**_body(target, question), "max_tokens": ANSWER_TOKENS, "logprobs": 1}


async def _post(client: httpx.AsyncClient, target: Target, body: dict[str, Any]) -> Any:
    """The answer; asked again where the endpoint has no time, or a kept connection was closed."""
    why = ""
    for wait_s in (*_WAITS_S, 0.0):
        try:
            answer = await client.post(target.url, json=body)
        except httpx.TransportError as error:
            why = f"{target.variant}: no answer ({error!r})"
        else:
            if answer.status_code == httpx.codes.OK:
                return answer.json()
            why = f"{target.variant}: {answer.status_code}: {answer.text[:200]}"
            if answer.status_code not in _AGAIN:
                break
        await asyncio.sleep(wait_s)
    raise DivergenceError(why)


def _logprobs(target: Target, answer: Any) -> Any:
    try:
        found = answer["choices"][0]["logprobs"]
        return found["tokens"], found["token_logprobs"], found["top_logprobs"]
    except (KeyError, IndexError, TypeError):
        raise DivergenceError(f"{target.variant}: an answer without log-probabilities") from None


def _row(target: Target, answer: Any, length: int) -> Row:
    """The echoed prompt's scores, without its first token's (it has none) and the generated one."""
    _, chosen, tops = _logprobs(target, answer)
    if min(len(chosen), len(tops)) < length or None in chosen[1:length]:
        raise DivergenceError(
            f"{target.variant}: {length} prompt tokens were sent, {len(chosen)} came back scored"
        )
    return chosen[1:length], tops[1:length]


def _answer(target: Target, answer: Any) -> list[int]:
    tokens, _, _ = _logprobs(target, answer)
    return [_id(token) for token in tokens]


def _id(name: str) -> int:
    return int(name.removeprefix(_ID))


def _as_arrays(
    rows: Sequence[Row], answers: Sequence[Sequence[int]], asked: Sequence[int]
) -> ScoredTokens:
    chosen = [value for values, _ in rows for value in values]
    tops = [top for _, found in rows for top in found]
    ids = np.full((len(tops), TOP + 1), NO_TOKEN, np.int32)
    logs = np.full((len(tops), TOP + 1), -np.inf, np.float32)
    for place, top in enumerate(tops):
        found = list(top.items())[: TOP + 1]
        ids[place, : len(found)] = [_id(name) for name, _ in found]
        logs[place, : len(found)] = [value for _, value in found]
    written = np.full((len(answers), ANSWER_TOKENS), NO_TOKEN, np.int32)
    for place, answer in enumerate(answers):
        written[place, : len(answer)] = answer[:ANSWER_TOKENS]
    return ScoredTokens(
        text=np.repeat(np.arange(len(rows), dtype=np.int32), [len(it) for it, _ in rows]),
        chosen=np.array(chosen, np.float32),
        top_ids=ids,
        top=logs,
        answers=written,
        answer_text=np.array(asked, np.int32),
    )
