"""The conformance suite: what every engine must do beyond the capabilities it claims.

The self-test asks whether a claimed parameter works; this asks whether the server as a whole
behaves as clients rely on: the shapes of answers and streams, usage that counts, errors that are
errors, answers that do not depend on who else asks, and log-probabilities that are the model's.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.engine.prober import PROBE_IDS, ProbeFailed, whole_stream
from services.engine.self_test import SelfTest
from services.engines.spec import CAPABILITIES

# bfloat16 moves a log-probability by about 0.01 nats on average; a wrong position by about one.
MEAN_TOLERANCE_NATS = 0.02
PARALLEL = 8


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check: ``failure`` is None where it passed; ``note`` says what was seen."""

    check: str
    failure: str | None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A sequence of token ids, and the log-probability of each but the first (nats)."""

    ids: Sequence[int]
    logprobs: Sequence[float]


class Conformance(SelfTest):
    """Holds one OpenAI server to the contract; its claims first."""

    async def check_all(
        self,
        claims: frozenset[str],
        *,
        takes_key: bool,
        context_length: int,
        references: Sequence[Reference] | None,
    ) -> list[Finding]:
        """Every check in order; a failed one does not stop the others."""
        proven = await self.run(CAPABILITIES)
        findings = [_claim_finding(name, name in claims, proven[name]) for name in proven]
        checks: dict[str, Callable[[], Awaitable[str]]] = {
            "models": self._models,
            "completion shape": self._completion_shape,
            "stream shape": self._stream_shape,
            "chat stream": self._chat_stream,
            "usage adds up": self._usage,
            "bad field refused": lambda: self._refused({"max_tokens": "many"}),
            "bad prompt refused": lambda: self._refused({"prompt": {"no": "prompt"}}),
            "too long refused": lambda: self._refused({"prompt": [1] * (context_length + 8)}),
            "no JSON refused": self._no_json,
            "alone or together": self._together,
            "chat without a limit": lambda: self._unlimited(context_length),
        }
        if takes_key:
            checks["key demanded"] = self._key
        if references is not None and "echo_logprobs" in claims:
            checks["log-probabilities"] = lambda: self._exact(references)
        for unclaimed in sorted({"logprobs", "echo_logprobs"} - claims):
            checks[f"no silent {unclaimed}"] = partial(self._not_silent, unclaimed)
        return findings + [await _finding(name, check) for name, check in checks.items()]

    async def _get(self, path: str) -> Any:
        async with self._session.get(self._base_url + path, headers=self._headers) as response:
            return await response.json()

    async def _models(self) -> str:
        listed = [model["id"] for model in (await self._get("/v1/models"))["data"]]
        if self._model not in listed:
            raise ProbeFailed(f"{self._model} is not among {listed}")
        return ", ".join(listed)

    async def _completion_shape(self) -> str:
        answer = await self._complete(prompt=PROBE_IDS, max_tokens=4, ignore_eos=True)
        choice = answer["choices"][0]
        if answer["object"] != "text_completion" or choice["finish_reason"] != "length":
            raise ProbeFailed(f"object {answer['object']!r}, finish {choice['finish_reason']!r}")
        if not isinstance(choice["text"], str) or choice["index"] != 0 or not answer["id"]:
            raise ProbeFailed(f"choice {choice}")
        return "finish_reason length"

    async def _stream_shape(self) -> str:
        fields = {"prompt": PROBE_IDS, "max_tokens": 8, "ignore_eos": True, "stream": True}
        chunks = whole_stream(await self._post("completions", fields))
        choices = [choice for chunk in chunks for choice in chunk.choices or ()]
        reasons = [c.finish_reason for c in choices if c.finish_reason is not None]
        if reasons != ["length"]:
            raise ProbeFailed(f"finish reasons {reasons}")
        if choices[-1].finish_reason is None:
            raise ProbeFailed("text follows the finish reason")
        return f"{len(chunks)} chunks"

    async def _chat_stream(self) -> str:
        messages = [{"role": "user", "content": "Hello"}]
        fields = {"messages": messages, "max_tokens": 6, "stream": True}
        chunks = whole_stream(await self._post("chat/completions", fields))
        choices = [choice for chunk in chunks for choice in chunk.choices or ()]
        roles = [choice.delta.role for choice in choices if choice.delta and choice.delta.role]
        if "assistant" not in roles:
            raise ProbeFailed(f"roles {roles}")
        return f"{len(choices)} deltas"

    async def _unlimited(self, context_length: int) -> str:
        """A chat that names no limit may be as long as there is room, whatever the model wishes."""
        messages = [{"role": "user", "content": "Hello"}]
        fields = {"messages": messages, "ignore_eos": True}
        usage = json.loads(await self._post("chat/completions", fields))["usage"]
        if usage["total_tokens"] != context_length:
            raise ProbeFailed(f"{usage['total_tokens']} tokens of {context_length}")
        return f"{usage['completion_tokens']} tokens"

    async def _usage(self) -> str:
        answer = await self._complete(prompt=PROBE_IDS, max_tokens=5, ignore_eos=True)
        usage = answer["usage"]
        got = (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"])
        if got != (len(PROBE_IDS), 5, len(PROBE_IDS) + 5):
            raise ProbeFailed(f"prompt, completion, total = {got}")
        return f"{got[0]} + {got[1]} = {got[2]}"

    async def _ask_raw(self, data: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        url = f"{self._base_url}/v1/completions"
        typed = {**headers, "content-type": "application/json"}
        async with self._session.post(url, data=data, headers=typed) as response:
            return response.status, await response.text()

    async def _refused(self, fields: Mapping[str, Any]) -> str:
        body = {"model": self._model, "prompt": PROBE_IDS, "max_tokens": 1, **fields}
        status, text = await self._ask_raw(json.dumps(body).encode(), self._headers)
        return _client_error(status, text)

    async def _no_json(self) -> str:
        return _client_error(*await self._ask_raw(b"{no json", self._headers))

    async def _key(self) -> str:
        body = {"model": self._model, "prompt": PROBE_IDS, "max_tokens": 1}
        status, _text = await self._ask_raw(json.dumps(body).encode(), {})
        if status != 401:
            raise ProbeFailed(f"HTTP {status} without a key")
        return "401 without it"

    async def _not_silent(self, claim: str) -> str:
        """An unclaimed parameter is refused, or does all it says; half of it would mislead."""
        fields = {"prompt": PROBE_IDS, "max_tokens": 1, "logprobs": 1}
        fields |= {"echo": True} if claim == "echo_logprobs" else {}
        body = {"model": self._model, **fields}
        status, _text = await self._ask_raw(json.dumps(body).encode(), self._headers)
        if status == 200 and (await self.run(frozenset({claim})))[claim] is not None:
            raise ProbeFailed("answered with 200, but not with what was asked for")
        return "works" if status == 200 else f"HTTP {status}"

    async def _together(self) -> str:
        """Greedy answers of requests in parallel against the same request alone."""
        prompts = [[*PROBE_IDS, 40 + i] for i in range(PARALLEL)]
        alone = [await self._greedy_ids(prompt) for prompt in prompts]
        together = await asyncio.gather(*(self._greedy_ids(prompt) for prompt in prompts))
        same = sum(one == other for one, other in zip(alone, together, strict=True))
        # Kernels for other batch sizes round differently, which may turn a near tie.
        if same < PARALLEL // 2:
            raise ProbeFailed(f"{same} of {PARALLEL} answers are the same")
        return f"{same} of {PARALLEL} the same"

    async def _greedy_ids(self, prompt: Sequence[int]) -> str:
        answer = await self._complete(prompt=list(prompt), max_tokens=8, ignore_eos=True)
        return str(answer["choices"][0]["text"])

    async def _exact(self, references: Sequence[Reference]) -> str:
        differences: list[float] = []
        for reference in references:
            answer = await self._complete(
                prompt=list(reference.ids), max_tokens=1, echo=True, logprobs=1
            )
            found = answer["choices"][0]["logprobs"]["token_logprobs"][1 : len(reference.ids)]
            differences += [abs(a - b) for a, b in zip(found, reference.logprobs, strict=True)]
        mean, largest = sum(differences) / len(differences), max(differences)
        seen = f"{mean:.4f} nats on average, {largest:.3f} at most, {len(differences)} tokens"
        if mean > MEAN_TOLERANCE_NATS:
            raise ProbeFailed(f"from transformers in float32: {seen}")
        return seen


async def _finding(name: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(check=name, failure=None, note=await check())
    except ProbeFailed as failure:
        return Finding(check=name, failure=str(failure))
    except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
        return Finding(check=name, failure=f"malformed answer: {error!r}")


def _claim_finding(name: str, claimed: bool, failure: str | None) -> Finding:
    """A claim must hold; what is not claimed is only told."""
    if claimed:
        return Finding(check=f"claim {name}", failure=failure, note="claimed")
    note = "not claimed" + (", but works" if failure is None else "")
    return Finding(check=f"claim {name}", failure=None, note=note)


def _client_error(status: int, text: str) -> str:
    """A refusal is a 4xx with JSON, never a 200 and never a 5xx."""
    if not 400 <= status < 500:
        raise ProbeFailed(f"HTTP {status}: {text[:120]}")
    try:
        json.loads(text)
    except ValueError:
        raise ProbeFailed(f"HTTP {status} without JSON: {text[:120]}") from None
    return f"HTTP {status}"


def conformance_table(findings: Sequence[Finding]) -> str:
    """The findings as a plain table, failures marked."""
    width = max(len(finding.check) for finding in findings)
    return "\n".join(
        f"{'FAIL' if finding.failure is not None else 'ok':<5} {finding.check.ljust(width)}  "
        f"{finding.failure or finding.note}"
        for finding in findings
    )
