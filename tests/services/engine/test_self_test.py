"""The self-test believes an honest engine and catches each way to lie.

covers: services/engine/meaning_probes.py, services/engine/prober.py
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from services.engine.prober import PROBE_IDS, ProbeFailed
from services.engine.self_test import TOP_TOKENS, SelfTest
from services.engines.spec import CAPABILITIES

END, OTHER_END = 2, 6
# What echo's log-probabilities are off by (nats), the tokens being the right ones.
ECHO_ERRORS = {"echo_rounded_otherwise": -0.24, "echo_far_off": -0.6}


def likeliest(position: int) -> float:
    """The honest log-probability of the likeliest token at a position."""
    return -0.3 - 0.4 * position


class Engine(SelfTest):
    """Answers by rule instead of over HTTP; ``lie`` names the one thing it gets wrong."""

    def __init__(self, lie: str | None = None, *, rounds_inputs: bool = False) -> None:
        self.lie = lie
        self._rounds_inputs = rounds_inputs
        self.calls = 0
        self._end_tokens = () if lie == "no_end_tokens" else (END, OTHER_END)

    async def _post(self, path: str, fields: Mapping[str, Any]) -> bytes:
        self.calls += 1
        if self.lie == "refuses":
            raise ProbeFailed("HTTP 400: unsupported")
        if path == "chat/completions":
            content = None if self.lie == "chat" else "Hello."
            return json.dumps({"choices": [{"message": {"content": content}}]}).encode()
        if fields.get("stream"):
            return self._stream(fields).encode()
        return json.dumps(self._whole(fields)).encode()

    def _text(self, fields: Mapping[str, Any]) -> str:
        if "response_format" in fields and self.lie != "response_format":
            return '{ "zebra": ["q7"] }'
        text = "abcdefghijklmnop"[: fields.get("max_tokens", 16)]
        temperature = fields.get("temperature", 0)
        if temperature is None:
            temperature = 0 if self.lie == "wishes_greedy" else 1.0
        if self.lie == "wishes_penalty" and "repetition_penalty" not in fields:
            text = text[::-1]
        if temperature and self.lie != "always_greedy":
            text = f"{self.calls if self.lie == 'seed' else fields.get('seed')}{text}"
        for stop in fields.get("stop", []):
            if self.lie != "stop":
                text = text.partition(stop)[0]
        return text

    def _stream(self, fields: Mapping[str, Any]) -> str:
        usage = {"completion_tokens": 3 if self.lie == "stream_usage" else fields["max_tokens"]}
        chunks: list[dict[str, Any]] = [
            {"choices": [{"text": piece}]} for piece in self._text(fields)
        ]
        if self.lie == "stream_error":
            chunks = [{"error": {"message": "gone", "type": "server_error"}}, *chunks]
        # As servers may send it: with comments and CRLF, the role or nothing first.
        events = [json.dumps(chunk) for chunk in [*chunks, {"choices": [], "usage": usage}]]
        return "".join(f": ping\r\n\r\ndata: {event}\r\n\r\n" for event in [*events, "[DONE]"])

    def _whole(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        length = len(fields["prompt"])
        tokens = self._tokens(fields)
        choice = {
            "text": self._text(fields),
            "logprobs": self._report(fields, length),
            "finish_reason": "stop" if self._ends(fields) else "length",
        }
        count = 1 if self.lie == "n" else fields.get("n", 1)
        prompt = length + (1 if self.lie == "token_ids" else 0)
        usage = {"prompt_tokens": prompt, "completion_tokens": tokens}
        return {"choices": [choice] * count, "usage": usage}

    def _tokens(self, fields: Mapping[str, Any]) -> int:
        """How many tokens come: the model wants to end at once where its end token is biased."""
        wanted: int = fields.get("max_tokens", 5 if self.lie == "wishes_length" else 16)
        if not self._ends(fields):
            return wanted
        if fields.get("ignore_eos") and self.lie != "ignore_eos":
            return wanted
        if self.lie == "min_tokens_is_max_tokens" and fields.get("min_tokens"):
            return wanted
        return max(1, fields.get("min_tokens", 0) if self.lie != "min_tokens" else 0)

    def _ends(self, fields: Mapping[str, Any]) -> bool:
        known = {str(END)} if self.lie == "one_end" else {str(END), str(OTHER_END)}
        return self.lie != "logit_bias" and bool(known & set(fields.get("logit_bias", {})))

    def _report(self, fields: Mapping[str, Any], length: int) -> dict[str, Any]:
        start, stop = length, length + fields.get("max_tokens", 16)
        if fields.get("echo") and self.lie != "echo_of_generated_tokens_only":
            start = 0
        shift = 1 if self.lie == "echo_off_by_one" and fields.get("echo") else 0
        positions = [position - shift for position in range(start, stop)]
        values = [likeliest(position) for position in positions]
        if self.lie == "logprobs":
            values = [1.5] * len(values)
        if fields.get("echo") and self.lie in ECHO_ERRORS:
            values = [value + ECHO_ERRORS[self.lie] for value in values]
        tops = [
            {f"token {rank} of {position}": value - rank for rank in range(TOP_TOKENS)}
            for position, value in zip(positions, values, strict=True)
        ]
        if self.lie == "no_top_logprobs" and not fields.get("echo"):
            tops = [{} for _ in tops]
        return {"token_logprobs": values, "top_logprobs": tops}


async def test_an_honest_engine_proves_every_claim() -> None:
    assert await Engine().run(CAPABILITIES) == dict.fromkeys(CAPABILITIES, None)


@pytest.mark.parametrize(
    ("lie", "claim"),
    [
        ("echo_of_generated_tokens_only", "echo_logprobs"),
        ("echo_off_by_one", "echo_logprobs"),
        ("echo_rounded_otherwise", "echo_logprobs"),
        ("no_top_logprobs", "echo_logprobs"),
        ("logprobs", "logprobs"),
        ("ignore_eos", "ignore_eos"),
        ("logit_bias", "ignore_eos"),
        ("no_end_tokens", "ignore_eos"),
        ("one_end", "every_end"),
        ("logit_bias", "every_end"),
        ("wishes_greedy", "plain_sampling"),
        ("wishes_penalty", "plain_sampling"),
        ("wishes_length", "plain_sampling"),
        ("min_tokens", "min_tokens"),
        ("min_tokens_is_max_tokens", "min_tokens"),
        ("logit_bias", "min_tokens"),
        ("n", "n"),
        ("response_format", "response_format"),
        ("seed", "seed"),
        ("always_greedy", "seed"),
        ("stop", "stop"),
        ("stream_usage", "stream_usage"),
        ("stream_error", "stream_usage"),
        ("token_ids", "token_ids"),
        ("chat", "chat"),
    ],
)
async def test_each_lie_costs_its_claim(lie: str, claim: str) -> None:
    assert (await Engine(lie).run(frozenset({claim})))[claim]


async def test_rounded_inputs_may_move_what_echo_says_of_the_same_tokens() -> None:
    engine = Engine("echo_rounded_otherwise", rounds_inputs=True)
    assert await engine.run(CAPABILITIES) == dict.fromkeys(CAPABILITIES, None)


@pytest.mark.parametrize(
    ("lie", "why"), [("echo_off_by_one", "share 0%"), ("echo_far_off", "differ by 0.600 nats")]
)
async def test_rounded_inputs_excuse_no_wrong_position_and_no_large_error(
    lie: str, why: str
) -> None:
    results = await Engine(lie, rounds_inputs=True).run(frozenset({"echo_logprobs"}))
    assert why in str(results["echo_logprobs"])


async def test_a_refused_probe_is_no_capability() -> None:
    results = await Engine("refuses").run(CAPABILITIES)
    assert all(failure == "HTTP 400: unsupported" for failure in results.values())


def test_the_probes_tell_positions_apart() -> None:
    assert len(set(PROBE_IDS)) == len(PROBE_IDS)
