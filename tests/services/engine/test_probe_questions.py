"""What is asked of a server, and that each default, limit or reading of its own is caught."""

import json
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from quantize.agreement.probe import ChatProbe, Probe, ProbeSequence
from services.engine.probe_questions import ProbeQuestions
from services.engines.spec import CAPABILITIES

IDS = tuple(range(10, 110))
TEXT_IDS = (1, 20, 21, 22)
CHAT_IDS = (1, 30, 31, 32, 33)
# What the likeliest token of every position has: many other tokens share the rest.
BEST = math.log(0.4)
OTHER = math.log(0.01)


def probe(*, end_tokens: tuple[int, ...] = (2, 6)) -> Probe:
    return Probe(
        sequences=(
            ProbeSequence(name="with BOS", ids=IDS),
            ProbeSequence(name="text", ids=TEXT_IDS, text="some text"),
        ),
        window=None,
        bos=1,
        special=(1, 2),
        end_tokens=end_tokens,
        chat=ChatProbe(messages=({"role": "user", "content": "hello"},), ids=CHAT_IDS),
    )


class Server(ProbeQuestions):
    """Answers by rule; ``lie`` names the one thing that it does otherwise than the model has it."""

    def __init__(self, lie: str | None = None) -> None:
        self.lie = lie
        self.bodies: list[Mapping[str, Any]] = []

    async def _post(self, path: str, fields: Mapping[str, Any]) -> bytes:
        self.bodies.append(fields)
        return json.dumps(
            self._chatted() if path.startswith("chat") else self._whole(fields)
        ).encode()

    async def _goes_on(self, chat: ChatProbe) -> None:
        """Streams are read from a real server (test_planted_differences.py)."""

    def _chatted(self) -> dict[str, Any]:
        logprob = -4.0 if self.lie == "template" else BEST
        count = len(CHAT_IDS) + (self.lie == "longer template")
        return {
            "usage": {"prompt_tokens": count},
            "choices": [{"logprobs": {"content": [{"logprob": logprob}]}}],
        }

    def _whole(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        prompt = fields["prompt"]
        count = len(prompt) if isinstance(prompt, list) else len(TEXT_IDS) + (self.lie == "bos")
        if fields.get("echo"):
            return self._answer(count, [None, *[-1.5] * count], 1)
        if bias := fields.get("logit_bias"):
            ends = not (self.lie == "end token" and "6" in bias)
            return self._answer(count, [-0.1] * (1 if ends else 4), 1, "stop" if ends else "length")
        return self._answer(count, [], fields.get("n", 1), drawn=fields)

    def _answer(
        self,
        count: int,
        logprobs: Sequence[float | None],
        choices: int,
        reason: str = "length",
        drawn: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        rng = random.Random(3)
        made = []
        for _ in range(choices):
            values = logprobs if drawn is None else self._taken(rng, drawn)
            report = {
                "token_logprobs": values,
                "top_logprobs": [{"a": BEST, "b": value or BEST} for value in values],
            }
            made.append({"logprobs": report, "finish_reason": reason, "text": ""})
        tokens = len(made[0]["logprobs"]["token_logprobs"])  # type: ignore[index]
        return {"usage": {"prompt_tokens": count, "completion_tokens": tokens}, "choices": made}

    def _taken(self, rng: random.Random, fields: Mapping[str, Any]) -> list[float]:
        greedy = fields.get("temperature", 0) == 0
        odds = 1.0 if greedy else 0.8 if self.lie == "temperature" else math.exp(BEST)
        values = [BEST if rng.random() < odds else OTHER for _ in range(fields["max_tokens"])]
        if self.lie == "penalty" and greedy and len(values) > 1:
            values[40] = OTHER
        return values


async def test_an_honest_server_has_no_faults_and_its_scores_are_kept() -> None:
    answers = await Server().ask(probe(), CAPABILITIES, 2048)
    assert answers.faults == ()
    assert {name: len(values) for name, values in answers.scores.items()} == {
        "with BOS": len(IDS) - 1,
        "text": len(TEXT_IDS) - 1,
    }


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ("penalty", "token 41 of a greedy answer is not the likeliest"),
        ("temperature", "without sampling fields"),
        ("end token", "token 6 ends an answer by the model's own files, and it goes on"),
        ("bos", "reads the text 'some text' as 5 tokens, transformers as 4"),
        ("longer template", "renders a chat to 6 tokens, transformers to 5"),
        ("template", "renders a chat to other tokens than transformers"),
    ],
)
async def test_each_thing_done_otherwise_is_caught(lie: str, words: str) -> None:
    answers = await Server(lie).ask(probe(), CAPABILITIES, 2048)
    assert [words in fault for fault in answers.faults] == [True]


async def test_one_request_names_no_sampling_field_at_all() -> None:
    server = Server()
    await server.ask(probe(), CAPABILITIES, 2048)
    (neutral,) = (body for body in server.bodies if "n" in body)
    assert neutral["temperature"] is None
    assert neutral.keys() & {"top_p", "top_k", "min_p", "repetition_penalty"} == set()


async def test_every_end_token_is_asked_for_alone() -> None:
    server = Server()
    await server.ask(probe(), CAPABILITIES, 2048)
    asked = [body["logit_bias"] for body in server.bodies if "logit_bias" in body]
    assert asked == [{"2": 100}, {"6": 100}]


async def test_nothing_is_asked_that_the_server_has_not_proven() -> None:
    server = Server()
    answers = await server.ask(probe(), frozenset(), 2048)
    assert (server.bodies, answers.scores, answers.faults) == ([], {}, ())


async def test_no_prompt_is_longer_than_the_served_context() -> None:
    server = Server()
    answers = await server.ask(probe(), CAPABILITIES - {"chat"}, 64)
    assert len(answers.scores["with BOS"]) == 62
    assert all(len(body["prompt"]) + body["max_tokens"] <= 64 for body in server.bodies)
