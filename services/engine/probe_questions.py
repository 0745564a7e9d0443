"""Ask a variant's endpoint the probe: what it scores, and what else must be as the model has it.

Beside the scores of the probe's ids: a text as it reads it, a chat as it renders it, answers to
requests that name no sampling field and no limit, greedy answers, and every end token.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from math import exp, isfinite, sqrt
from typing import Any

from quantize.agreement.probe import ChatProbe, Probe, ProbeSequence
from services.engine.agreement import Answers
from services.engine.prober import PROBE_IDS, ProbeFailed
from services.engine.self_test import SelfTest

PROMPT_TOKENS = 64
# A greedy answer of so many tokens repeats some that came before: what penalties fall upon.
GREEDY_TOKENS = 64
DRAWN_CHOICES, DRAWN_TOKENS = 4, 24
# A chat that says no limit must go on at least so long.
CHAT_EVENTS = 16
# Two computations of one prompt are nearer than that, those of different prompts rarely.
SAME_NATS = 0.25
TIE_NATS = 0.01
# So many standard deviations from its mean a draw is once in some ten thousand starts.
MOST_SIGMAS = 4.0

_DEFAULTS = (
    "the engine takes a default of its own, such as those of the model's generation_config.json, "
    "which the other engines do not take"
)


class ProbeQuestions(SelfTest):
    """Asks one OpenAI server what it can be asked: ``proven`` are the claims that it has proven."""

    async def ask(self, probe: Probe, proven: frozenset[str], context_length: int) -> Answers:
        """Everything; takes seconds."""
        faults: list[str] = []
        scores: dict[str, Sequence[float]] = {}
        for sequence in probe.sequences if {"echo_logprobs", "token_ids"} <= proven else ():
            try:
                scores[sequence.name] = await self._heard(sequence, context_length)
            except _MALFORMED as error:
                faults.append(f"the probe {sequence.name!r} is not scored: {error}")
        for check in self._checks(probe, proven, context_length):
            try:
                await check()
            except _MALFORMED as error:
                faults.append(str(error))
        return Answers(scores=scores, faults=tuple(faults))

    def _checks(
        self, probe: Probe, proven: frozenset[str], context_length: int
    ) -> list[Callable[[], Awaitable[None]]]:
        checks: list[Callable[[], Awaitable[None]]] = []
        prompt = probe.sequences[0].ids[: min(PROMPT_TOKENS, context_length // 2)]
        if {"logprobs", "token_ids", "ignore_eos"} <= proven:
            tokens = min(GREEDY_TOKENS, context_length // 2 - 1)
            checks.append(lambda: self._is_greedy(prompt, tokens))
            if "n" in proven:
                checks.append(lambda: self._is_neutral(prompt, min(DRAWN_TOKENS, tokens)))
        if {"token_ids", "ignore_eos"} <= proven:
            checks += [_of(self._ends, token) for token in probe.end_tokens]
        if "chat" in proven and probe.chat is not None:
            checks += self._chat_checks(probe.chat, proven, context_length)
        return checks

    def _chat_checks(
        self, chat: ChatProbe, proven: frozenset[str], context_length: int
    ) -> list[Callable[[], Awaitable[None]]]:
        room = context_length - len(chat.ids)
        if room < 1:
            return []
        scored = {"logprobs", "token_ids"} <= proven
        checks: list[Callable[[], Awaitable[None]]] = [lambda: self._renders(chat, scored)]
        # A server that sends several tokens at once may be at the end of its context before.
        if room >= 4 * CHAT_EVENTS and "ignore_eos" in proven:
            checks.append(lambda: self._goes_on(chat))
        return checks

    async def _heard(self, sequence: ProbeSequence, context_length: int) -> list[float]:
        """Log-probabilities of all ids but the first, as far as the context reaches."""
        ids = list(sequence.ids[: context_length - 1])
        answer = await self._complete(
            prompt=ids if sequence.text is None else sequence.text,
            max_tokens=1,
            echo=True,
            logprobs=1,
        )
        count = answer["usage"]["prompt_tokens"]
        if count != len(ids):
            what = "ids" if sequence.text is None else f"the text {sequence.text!r}"
            raise ProbeFailed(
                f"it reads {what} as {count} tokens, transformers as {len(ids)}: its tokenizer is "
                "configured otherwise (a BOS more or less)"
            )
        report = answer["choices"][0]["logprobs"]["token_logprobs"]
        values = [float(value) for value in report[1:count]]
        if not all(map(isfinite, values)):
            raise ProbeFailed("some log-probabilities are no numbers")
        return values

    async def _is_greedy(self, prompt: Sequence[int], tokens: int) -> None:
        """Temperature 0 takes the likeliest token every time."""
        answer = await self._complete(
            prompt=list(prompt), max_tokens=tokens, ignore_eos=True, logprobs=1
        )
        for place, (chosen, best) in enumerate(_chosen_and_best(answer["choices"][0])):
            if chosen < best - TIE_NATS:
                raise ProbeFailed(
                    f"token {place + 1} of a greedy answer is not the likeliest ({chosen:.2f} nats "
                    f"where {best:.2f} is there), as a penalty makes it: {_DEFAULTS}"
                )

    async def _is_neutral(self, prompt: Sequence[int], tokens: int) -> None:
        """A request without sampling fields draws from the model's own distribution.

        Of independent draws, so many take the likeliest token as its probabilities add up to, with
        the variance of Poisson's binomial distribution; one is added to it for ties.
        """
        answer = await self._complete(
            prompt=list(prompt),
            max_tokens=tokens,
            ignore_eos=True,
            logprobs=1,
            n=DRAWN_CHOICES,
            seed=7,
            temperature=None,
        )
        drawn = [pair for choice in answer["choices"] for pair in _chosen_and_best(choice)]
        hits = sum(chosen >= best - TIE_NATS for chosen, best in drawn)
        odds = [min(1.0, exp(best)) for _, best in drawn]
        sigma = sqrt(1 + sum(p * (1 - p) for p in odds))
        if abs(hits - sum(odds)) > MOST_SIGMAS * sigma:
            raise ProbeFailed(
                f"without sampling fields, {hits} of {len(drawn)} tokens are the likeliest, where "
                f"temperature 1 takes {sum(odds):.0f} ± {sigma:.0f}: {_DEFAULTS}"
            )

    async def _ends(self, token: int) -> None:
        """An end token of the model ends the answer."""
        answer = await self._complete(prompt=PROBE_IDS, max_tokens=4, logit_bias={str(token): 100})
        choice, count = answer["choices"][0], answer["usage"]["completion_tokens"]
        if choice["finish_reason"] != "stop" or count > 1:
            raise ProbeFailed(
                f"token {token} ends an answer by the model's own files, and it goes on after it: "
                "its answers are longer than the others'"
            )

    async def _renders(self, chat: ChatProbe, scored: bool) -> None:
        """The chat template gives the ids that transformers renders."""
        fields: dict[str, Any] = {"messages": [dict(message) for message in chat.messages]}
        fields |= {"max_tokens": 1, "logprobs": True} if scored else {"max_tokens": 1}
        answer = json.loads(await self._post("chat/completions", fields))
        count = answer["usage"]["prompt_tokens"]
        if count != len(chat.ids):
            raise ProbeFailed(
                f"it renders a chat to {count} tokens, transformers to {len(chat.ids)}: {_RENDERED}"
            )
        if not scored:
            return
        same = await self._complete(prompt=list(chat.ids), max_tokens=1, logprobs=1)
        said = answer["choices"][0]["logprobs"]["content"]
        expected = same["choices"][0]["logprobs"]["token_logprobs"]
        # An end at once may be left out of the answer.
        for token, logprob in zip(said, expected, strict=False):
            if abs(token["logprob"] - logprob) > SAME_NATS:
                raise ProbeFailed(
                    f"it renders a chat to other tokens than transformers (its first token has "
                    f"{token['logprob']:.2f} nats, after transformers' ids {logprob:.2f}): "
                    f"{_RENDERED}"
                )

    async def _goes_on(self, chat: ChatProbe) -> None:
        """A chat without a limit is not ended by a default one."""
        fields = {
            "model": self._model,
            "messages": [dict(message) for message in chat.messages],
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
        events = 0
        async with self._session.post(
            f"{self._base_url}/v1/chat/completions", json=fields, headers=self._headers
        ) as response:
            async for line in response.content:
                events += line.startswith(b"data: {")
                if events >= CHAT_EVENTS:
                    return
        raise ProbeFailed(f"a chat without a limit ends after {events} events: {_DEFAULTS}")


_RENDERED = "its chat template is another, or is rendered by other rules"
_MALFORMED = (ProbeFailed, AttributeError, KeyError, TypeError, IndexError, ValueError)


def _of(check: Callable[[int], Awaitable[None]], token: int) -> Callable[[], Awaitable[None]]:
    return lambda: check(token)


def _chosen_and_best(choice: dict[str, Any]) -> list[tuple[float, float]]:
    """The log-probability of every generated token, and that of the likeliest one there."""
    report = choice["logprobs"]
    return [
        (float(chosen), max(float(value) for value in top.values()))
        for chosen, top in zip(report["token_logprobs"], report["top_logprobs"], strict=True)
    ]
