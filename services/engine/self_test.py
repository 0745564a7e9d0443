"""The self-test: every engine proves on start what it can do, by real requests.

A server that accepts ``echo`` and ``logprobs`` but returns only generated tokens makes every
log-likelihood task score chance without an error. So a claim is believed only when its probe
passes: prompt log-probabilities must agree with what the engine itself says when it generates
from the same prefix.
"""

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from services.engine.meaning_probes import MeaningProbes
from services.engine.prober import (
    ENOUGH,
    PROBE_IDS,
    PROBE_TEMPERATURE,
    PROBE_TEXT,
    ProbeFailed,
    expect,
    whole_stream,
)

# Kernels for one token and for many round differently; a report that is off by one position
# differs by about a nat.
LOGPROB_TOLERANCE = 0.1
# Where a format, or llama.cpp for itself, rounds the inputs of layers, the last bit of a float32
# sum can round an input to its other neighbour, and the layers above make 0.24 nats of it (NVFP4,
# on average over these ids; Q5_K_M of a model of 30 layers: 0.11). Values are held less tightly
# there, and the likeliest tokens must be the same ones: aligned reports share 0.93 to 1 of them,
# reports that are off by one position at most 0.6.
ROUNDED_INPUTS_TOLERANCE = 0.5
SHARED_TOKENS = 0.8
TOP_TOKENS = 5
OTHER_SEEDS = (8, 9, 10)
PROBE_JSON = {"zebra": ["q7"]}
PROBE_SCHEMA = {
    "type": "object",
    "properties": {
        "zebra": {"type": "array", "items": {"enum": ["q7"]}, "minItems": 1, "maxItems": 1}
    },
    "required": ["zebra"],
    "additionalProperties": False,
}
# A token for each of its bytes, and spaces between.
PROBE_SCHEMA_TOKENS = 64


class SelfTest(MeaningProbes):
    """Asks one OpenAI server for each claim; a claim's probe is the method of its name."""

    async def run(self, claims: frozenset[str]) -> dict[str, str | None]:
        """Probe every claim; maps each to None (proven) or to what went wrong."""
        results: dict[str, str | None] = {}
        for claim in sorted(claims):
            probe: Callable[[], Awaitable[None]] = getattr(self, f"_{claim}")
            try:
                await probe()
                results[claim] = None
            except ProbeFailed as failure:
                results[claim] = str(failure)
            except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
                results[claim] = f"malformed answer: {error!r}"
        return results

    async def _token_ids(self) -> None:
        answer = await self._complete(prompt=PROBE_IDS, max_tokens=1)
        expect("prompt_tokens", answer["usage"]["prompt_tokens"], len(PROBE_IDS))

    async def _logprobs(self) -> None:
        answer = await self._complete(prompt=PROBE_IDS, max_tokens=3, logprobs=2, ignore_eos=True)
        values = answer["choices"][0]["logprobs"]["token_logprobs"]
        expect("log-probabilities", len(values), 3)
        if not all(math.isfinite(value) and value <= 0 for value in values):
            raise ProbeFailed(f"token_logprobs are no log-probabilities: {values}")

    async def _echo_logprobs(self) -> None:
        echoed = await self._complete(
            prompt=PROBE_IDS, max_tokens=1, echo=True, logprobs=TOP_TOKENS
        )
        report = echoed["choices"][0]["logprobs"]
        expect("token_logprobs of prompt + 1", len(report["token_logprobs"]), len(PROBE_IDS) + 1)
        tolerance = ROUNDED_INPUTS_TOLERANCE if self._rounds_inputs else LOGPROB_TOLERANCE
        differences, shared = [], []
        for position in range(1, len(PROBE_IDS)):
            prefix = await self._complete(
                prompt=PROBE_IDS[:position], max_tokens=1, logprobs=TOP_TOKENS, ignore_eos=True
            )
            generated = prefix["choices"][0]["logprobs"]
            echoed_top, generated_top = (
                report["top_logprobs"][position],
                generated["top_logprobs"][0],
            )
            if not generated_top:
                raise ProbeFailed("no top_logprobs come with a generated token")
            best = max(echoed_top.values())
            differences.append(abs(generated["token_logprobs"][0] - best))
            shared.append(len(echoed_top.keys() & generated_top.keys()) / len(generated_top))
            if report["token_logprobs"][position] > best + LOGPROB_TOLERANCE:
                raise ProbeFailed(f"token {position} is likelier than the likeliest token")
        difference = sum(differences) / len(differences)
        if difference > tolerance:
            raise ProbeFailed(
                "for the likeliest token, echo and generation differ by "
                f"{difference:.3f} nats on average"
            )
        share = sum(shared) / len(shared)
        if difference > LOGPROB_TOLERANCE and share < SHARED_TOKENS:
            raise ProbeFailed(
                f"of the {TOP_TOKENS} likeliest tokens, echo and generation share {share:.0%}"
            )

    async def _response_format(self) -> None:
        """An answer of JSON that no model would write by itself."""
        named = {"name": "probe", "schema": PROBE_SCHEMA}
        answer = await self._complete(
            prompt=PROBE_TEXT,
            max_tokens=PROBE_SCHEMA_TOKENS,
            response_format={"type": "json_schema", "json_schema": named},
        )
        expect("the answer", json.loads(answer["choices"][0]["text"]), PROBE_JSON)

    async def _ignore_eos(self) -> None:
        ending = await self._ending()
        answer = await self._complete(**ending, max_tokens=ENOUGH, ignore_eos=True)
        expect("completion_tokens past an end", answer["usage"]["completion_tokens"], ENOUGH)

    async def _min_tokens(self) -> None:
        ending = await self._ending()
        answer = await self._complete(**ending, max_tokens=ENOUGH, min_tokens=ENOUGH // 2)
        count = answer["usage"]["completion_tokens"]
        # The end itself may be counted or not; without it the engine would go on.
        if count not in {ENOUGH // 2, ENOUGH // 2 + 1}:
            raise ProbeFailed(
                f"completion_tokens: got {count} of a model that wants to end, expected the "
                f"{ENOUGH // 2} of min_tokens"
            )

    async def _ending(self) -> dict[str, Any]:
        """A request at whose first token the model ends, so that going on is the engine's doing.

        Most models would not end within a few tokens of any prompt, and a test of ``ignore_eos``
        with them could not fail. So the end tokens are made the likeliest by far.

        Raises:
            ProbeFailed: the engine cannot be made to end, so nothing can be proven.
        """
        if not self._end_tokens:
            raise ProbeFailed("not provable: the artifact names no end-of-sequence token")
        bias = {str(token): 100 for token in self._end_tokens}
        ending = {"prompt": PROBE_IDS, "logit_bias": bias}
        answer = await self._complete(**ending, max_tokens=ENOUGH)
        count = answer["usage"]["completion_tokens"]
        if count > 1:
            raise ProbeFailed(
                f"not provable: with logit_bias on the end tokens {list(self._end_tokens)} the "
                f"engine still generated {count} tokens"
            )
        return ending

    async def _greedy(self, **fields: Any) -> str:
        answer = await self._complete(prompt=PROBE_TEXT, max_tokens=16, ignore_eos=True, **fields)
        return str(answer["choices"][0]["text"])

    async def _stop(self) -> None:
        text = await self._greedy()
        mark = text[len(text) // 2 : len(text) // 2 + 3]
        stopped = await self._greedy(stop=[mark])
        expect("text up to the stop string", stopped, text[: text.find(mark)])

    async def _seed(self) -> None:
        """Equal seeds agree, and others do not: equal answers alone prove no sampling."""
        # The first answer does not count: later ones find its prompt in the cache, and logits that
        # were computed in another batch differ in their last bits, which a hot draw can show.
        seeds = (7, 7, 7, *OTHER_SEEDS)
        _, first, second, *others = [
            await self._greedy(temperature=PROBE_TEMPERATURE, seed=seed) for seed in seeds
        ]
        expect("the same seed's second answer", second, first)
        if all(other == first for other in others):
            raise ProbeFailed(
                f"seeds 7, {', '.join(map(str, OTHER_SEEDS))} all gave {first!r} at temperature "
                f"{PROBE_TEMPERATURE}"
            )

    async def _n(self) -> None:
        answer = await self._complete(prompt=PROBE_IDS, max_tokens=2, n=2, temperature=1.0)
        expect("choices", len(answer["choices"]), 2)

    async def _stream_usage(self) -> None:
        fields = {
            "prompt": PROBE_TEXT,
            "max_tokens": 16,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        chunks = whole_stream(await self._post("completions", fields))
        usages = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage]
        expect("usage.completion_tokens", usages[-1:], [16])
        text = "".join(choice.written for chunk in chunks for choice in chunk.choices or ())
        expect("the streamed text", text, await self._greedy())

    async def _chat(self) -> None:
        messages = [{"role": "user", "content": "Hello"}]
        answer = json.loads(
            await self._post("chat/completions", {"messages": messages, "max_tokens": 4})
        )
        if not isinstance(answer["choices"][0]["message"]["content"], str):
            raise ProbeFailed("the chat answer has no content")
