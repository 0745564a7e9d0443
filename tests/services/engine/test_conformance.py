"""The conformance suite passes an honest server and fails each kind of broken one."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from services.engine.conformance import Conformance, Finding, Reference, conformance_table
from services.engine.prober import PROBE_IDS

REFERENCE = Reference(ids=[1, 2, 3, 4], logprobs=[-1.0, -2.0, -3.0])
CONTEXT = 512


class Server(Conformance):
    """Answers by rule instead of over HTTP; ``lie`` names the one thing it gets wrong."""

    def __init__(self, lie: str | None = None) -> None:
        self.lie = lie
        self.calls = 0
        self._model = "mine"
        self._headers = {"authorization": "key"}
        self._end_tokens = ()

    async def run(self, claims: frozenset[str]) -> dict[str, str | None]:
        broken = {"a false claim": "logprobs"}.get(self.lie or "")
        return {claim: "broken" if claim == broken else None for claim in claims}

    async def _get(self, path: str) -> Any:
        assert path == "/v1/models"
        return {"data": [{"id": "other" if self.lie == "another model" else "mine"}]}

    async def _post(self, path: str, fields: Mapping[str, Any]) -> bytes:
        self.calls += 1
        if fields.get("stream"):
            return self._stream(path).encode()
        if path == "chat/completions":
            total = 5 if self.lie == "short chats" else CONTEXT
            return json.dumps({"usage": {"completion_tokens": 4, "total_tokens": total}}).encode()
        usage = {
            "prompt_tokens": len(fields["prompt"]),
            "completion_tokens": fields["max_tokens"],
            "total_tokens": len(fields["prompt"])
            + (0 if self.lie == "usage" else fields["max_tokens"]),
        }
        text = f"{fields['prompt'][-1]}" + (str(self.calls) if self.lie == "not greedy" else "")
        shift = 1.0 if self.lie == "other log-probabilities" else 0.001
        values = [None, *(value - shift for value in REFERENCE.logprobs), -1.0]
        choice = {
            "index": 0,
            "text": text,
            "finish_reason": "stop" if self.lie == "finish reason" else "length",
            "logprobs": {"token_logprobs": values},
        }
        kind = "text_completion"
        return json.dumps({"id": "a", "object": kind, "choices": [choice], "usage": usage}).encode()

    def _stream(self, path: str) -> str:
        if path == "chat/completions":
            role = {} if self.lie == "no role" else {"role": "assistant"}
            events: list[dict[str, Any]] = [
                {"choices": [{"delta": role}]},
                {"choices": [{"delta": {"content": "a"}}]},
            ]
        else:
            last = {"text": "b", "finish_reason": "length"}
            events = [{"choices": [{"text": "a", "finish_reason": None}]}, {"choices": [last]}]
            if self.lie == "text after the end":
                events.append({"choices": [{"text": "c", "finish_reason": None}]})
        lines = [f"data: {json.dumps(event)}\n\n" for event in events]
        return "".join(lines if self.lie == "no end" else [*lines, "data: [DONE]\n\n"])

    async def _ask_raw(self, data: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        if self.lie == "accepts everything":
            return 200, "{}"
        if self.lie == "breaks":
            return 500, "Internal Server Error"
        if self.lie == "plain text errors":
            return 400, "no"
        try:
            body = json.loads(data)
        except ValueError:
            return 400, "{}"
        if not headers:
            return 401, "{}"
        prompt, logprobs = body["prompt"], body.get("logprobs")
        bad = isinstance(prompt, dict) or len(prompt) > CONTEXT or body["max_tokens"] == "many"
        return (400 if bad or logprobs else 200), "{}"


async def check(lie: str | None, *claims: str) -> dict[str, str | None]:
    findings = await Server(lie).check_all(
        frozenset(claims), takes_key=True, context_length=CONTEXT, references=[REFERENCE]
    )
    return {finding.check: finding.failure for finding in findings}


async def test_an_honest_server_passes_every_check() -> None:
    found = await check(None, "logprobs", "echo_logprobs")
    assert set(found.values()) == {None}
    assert "log-probabilities" in found
    assert "key demanded" in found


@pytest.mark.parametrize(
    ("lie", "failing"),
    [
        ("a false claim", "claim logprobs"),
        ("another model", "models"),
        ("finish reason", "completion shape"),
        ("usage", "usage adds up"),
        ("no end", "stream shape"),
        ("text after the end", "stream shape"),
        ("no role", "chat stream"),
        ("not greedy", "alone or together"),
        ("short chats", "chat without a limit"),
        ("accepts everything", "too long refused"),
        ("accepts everything", "key demanded"),
        ("breaks", "bad field refused"),
        ("breaks", "no JSON refused"),
        ("plain text errors", "bad prompt refused"),
        ("other log-probabilities", "log-probabilities"),
    ],
)
async def test_each_break_fails_its_check(lie: str, failing: str) -> None:
    found = await check(lie, "logprobs", "echo_logprobs")
    assert found[failing] is not None


async def test_what_is_not_claimed_may_be_refused_but_not_answered_by_half() -> None:
    assert (await check(None))["no silent echo_logprobs"] is None
    assert (await check("accepts everything"))["no silent echo_logprobs"] is None

    class Half(Server):
        async def run(self, claims: frozenset[str]) -> dict[str, str | None]:
            return dict.fromkeys(claims, "only the generated token")

    findings = await Half("accepts everything").check_all(
        frozenset(), takes_key=False, context_length=CONTEXT, references=None
    )
    (silent,) = [f for f in findings if f.check == "no silent echo_logprobs"]
    assert silent.failure is not None
    assert "key demanded" not in {f.check for f in findings}


def test_the_table_marks_what_failed() -> None:
    table = conformance_table(
        [
            Finding(check="models", failure=None, note="mine"),
            Finding(check="usage adds up", failure=f"prompt {len(PROBE_IDS)}"),
        ]
    )
    assert table.splitlines() == ["ok    models         mine", "FAIL  usage adds up  prompt 8"]
