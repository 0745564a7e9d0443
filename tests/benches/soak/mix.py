"""The mixed load: what is asked of whom, and which answer is right. Pure, by a seed.

Most requests are good, of every shape; some clients leave before their answer is whole; some ask
for what cannot be. Every request says which statuses are right for it, so that nothing that goes
wrong can pass for a bad request's due.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from loadtest.prompts import PromptSource
from services.http.request_body import MAX_BODY_BYTES

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
LEAVING_SHARE, BAD_SHARE = 0.08, 0.10
# Long enough that a client who leaves within two seconds leaves a sequence behind.
LEAVING_TOKENS = 400
Body = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PlannedRequest:
    """One request and what is right for it.

    ``output_tokens`` is what ``usage`` must count; None where it may vary (a stop string, a bad
    request). ``leave_after_s`` is when the client closes the connection; None: it stays.
    """

    number: int
    kind: str
    variant: str
    method: str
    path: str
    body: bytes
    stream: bool = False
    expected: frozenset[int] = frozenset({200})
    output_tokens: int | None = None
    leave_after_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class BadKind:
    """A way to ask wrongly: how it spoils a good body, and what must come of it."""

    status: int
    weight: int
    spoil: Callable[[Body, "Mix"], bytes]
    method: str = "POST"
    path: str | None = None


def _with(**fields: Any) -> Callable[[Body, "Mix"], bytes]:
    return lambda body, _mix: _json({**body, **fields})


def _without_question(body: Body, _mix: "Mix") -> bytes:
    return _json({key: body[key] for key in body if key not in {"prompt", "messages"}})


def _too_long(body: Body, mix: "Mix") -> bytes:
    tokens = mix.context_length + 50
    if "prompt" in body:
        return _json({**body, "prompt": mix.prompts.prompt(0, tokens)})
    return _json({**body, "messages": [{"role": "user", "content": "carrot cake " * tokens}]})


def _cut_off(body: Body, _mix: "Mix") -> bytes:
    whole = _json(body)
    return whole[: len(whole) // 2]


def _huge(_body: Body, _mix: "Mix") -> bytes:
    return b" " * (MAX_BODY_BYTES + 1)


def _json(body: Body) -> bytes:
    return json.dumps(body).encode()


BAD: Mapping[str, BadKind] = MappingProxyType(
    {
        "wrong type": BadKind(status=400, weight=10, spoil=_with(max_tokens="many")),
        "out of range": BadKind(status=400, weight=10, spoil=_with(temperature=-1)),
        "too many choices": BadKind(status=400, weight=5, spoil=_with(n=10**9)),
        "bad JSON": BadKind(status=400, weight=10, spoil=_cut_off),
        "no question": BadKind(status=400, weight=10, spoil=_without_question),
        "too long": BadKind(status=400, weight=10, spoil=_too_long),
        "unknown model": BadKind(status=404, weight=10, spoil=_with(model="no-such-model")),
        "unknown route": BadKind(status=404, weight=5, spoil=_with(), path="/v1/nothing"),
        "wrong method": BadKind(status=405, weight=5, spoil=_with(), method="PUT"),
        "too large": BadKind(status=413, weight=1, spoil=_huge),
    }
)


class Mix:
    """Request after request, the same for the same seed.

    ``context_length`` is what the plan serves, in tokens.
    """

    def __init__(
        self,
        variants: tuple[str, ...],
        prompts: PromptSource,
        texts: list[str],
        context_length: int,
        *,
        seed: int = 0,
    ) -> None:
        self.prompts = prompts
        self.context_length = context_length
        self._variants = variants
        self._texts = texts
        self._rng = random.Random(seed)
        self._number = -1

    def next(self) -> PlannedRequest:
        """The next request."""
        self._number += 1
        share = self._rng.random()
        if share < BAD_SHARE:
            return self._bad()
        return self._leaving() if share < BAD_SHARE + LEAVING_SHARE else self._good()

    def _base(self, max_tokens: int) -> tuple[str, str, Body]:
        """Variant, route within it, and the smallest good body."""
        rng = self._rng
        variant = rng.choice(self._variants)
        body: Body = {"model": variant, "max_tokens": max_tokens, "ignore_eos": True}
        if rng.random() < 0.5:
            text = rng.choice(self._texts)
            ids = self.prompts.prompt(self._number, rng.randint(8, 200))
            prompt = ids if rng.random() < 0.6 else text[: rng.randint(20, 600)]
            return variant, COMPLETIONS, {**body, "prompt": prompt}
        text = rng.choice(self._texts)[: rng.randint(20, 400)]
        return variant, CHAT, {**body, "messages": [{"role": "user", "content": text}]}

    def _address(self, variant: str, route: str) -> str:
        """Through the gateway or the variant's own prefix, by turns."""
        return route if self._rng.random() < 0.5 else f"/{variant}{route}"

    def _good(self) -> PlannedRequest:
        rng, count = self._rng, self._rng.randint(4, 64)
        variant, route, body = self._base(count)
        stream, choices, stopped = rng.random() < 0.6, 1, False
        body |= {"temperature": rng.choice([0, 0.8]), "seed": self._number}
        if rng.random() < 0.3:
            body |= {"logprobs": True, "top_logprobs": 3} if route == CHAT else {"logprobs": 3}
        # vLLM refuses several greedy choices: they would all be the same.
        if body["temperature"] and rng.random() < 0.2:
            choices = body["n"] = 2
        if rng.random() < 0.1:
            stopped = True
            body["stop"] = [".", "\n"]
        if route == COMPLETIONS and rng.random() < 0.05:
            body["echo"] = True
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return PlannedRequest(
            number=self._number,
            kind=f"{'chat' if route == CHAT else 'completion'}, {'stream' if stream else 'whole'}",
            variant=variant,
            method="POST",
            path=self._address(variant, route),
            body=_json(body),
            stream=stream,
            output_tokens=None if stopped else count * choices,
        )

    def _leaving(self) -> PlannedRequest:
        variant, route, body = self._base(LEAVING_TOKENS)
        stream = self._rng.random() < 0.7
        if stream:
            # A fast engine may be done before the client leaves; then the answer is judged.
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return PlannedRequest(
            number=self._number,
            kind=f"leaves, {'stream' if stream else 'whole'}",
            variant=variant,
            method="POST",
            path=self._address(variant, route),
            body=_json(body),
            stream=stream,
            output_tokens=LEAVING_TOKENS,
            leave_after_s=self._rng.uniform(0.02, 2.0),
        )

    def _bad(self) -> PlannedRequest:
        rng = self._rng
        (kind,) = rng.choices(list(BAD), [bad.weight for bad in BAD.values()])
        bad = BAD[kind]
        variant, route, body = self._base(16)
        return PlannedRequest(
            number=self._number,
            kind=f"bad: {kind}",
            variant=variant,
            method=bad.method,
            path=self._address(variant, bad.path or route),
            body=bad.spoil(body, self),
            expected=frozenset({bad.status}),
        )
