"""Whether a request means on this engine what it means on every other one.

A model's files may wish a temperature, penalties or a length; an engine that obeys them answers
another question than the one that was asked. And an answer is only as long as elsewhere where it
ends at every token that the model calls an end.
"""

from typing import Any

from services.engine.prober import (
    ENOUGH,
    PROBE_IDS,
    PROBE_TEMPERATURE,
    PROBE_TEXT,
    ProbeFailed,
    Prober,
    expect,
)

SEED = 7
# OpenAI's default for completions.
DEFAULT_TOKENS = 16
# What OpenAI's reference and vLLM's protocol say that a request without them means.
NEUTRAL = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
    "max_tokens": DEFAULT_TOKENS,
}


class MeaningProbes(Prober):
    """The probes of the claims ``every_end`` and ``plain_sampling``."""

    async def _every_end(self) -> None:
        """Each end token, made the likeliest by far, ends an answer by itself."""
        for token in self._end_tokens:
            answer = await self._complete(
                prompt=PROBE_IDS, max_tokens=ENOUGH, logit_bias={str(token): 100}
            )
            count = answer["usage"]["completion_tokens"]
            if count > 1 or answer["choices"][0]["finish_reason"] != "stop":
                raise ProbeFailed(f"token {token} ended nothing: {count} tokens came")

    async def _plain_sampling(self) -> None:
        """What a request leaves out is neutral; drawn with one seed, the answers are the same."""
        # The first answer does not count: later ones find its prompt in the cache.
        await self._drawn({})
        for said in ({}, {"temperature": PROBE_TEMPERATURE}):
            plain, spelt = await self._drawn(said), await self._drawn({**NEUTRAL, **said})
            expect("tokens without a limit", plain[1], DEFAULT_TOKENS)
            expect(f"what is drawn where the request says {said or 'nothing'}", plain[0], spelt[0])

    async def _drawn(self, said: dict[str, Any]) -> tuple[str, int]:
        fields = {"prompt": PROBE_TEXT, "seed": SEED, "ignore_eos": True, "temperature": None}
        answer = await self._complete(**{**fields, **said})
        return answer["choices"][0]["text"], answer["usage"]["completion_tokens"]
