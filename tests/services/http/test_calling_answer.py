"""An answer with calls is OpenAI's, whole or streamed, and everything else passes as it is."""

import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from services.http.calling_answer import CallingAnswer
from services.http.tool_calls import Reading

TEXT = 'I look.<tool_call>{"name": "time", "arguments": {"zone": "UTC"}}</tool_call>'
LISTED = '[{"name": "time", "arguments": {"zone": "UTC"}}]'


async def passed(reading: Reading, kind: bytes, *bodies: bytes) -> bytes:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    answer = CallingAnswer(send, reading)
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}
    await answer(head)
    for body in bodies:
        await answer({"type": "http.response.body", "body": body, "more_body": True})
    await answer({"type": "http.response.body", "body": b""})
    assert sent[0] == head
    assert [message.get("more_body", False) for message in sent[1:]].count(False) == 1
    return b"".join(message["body"] for message in sent[1:])


def whole(text: str, reason: str = "stop") -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return json.dumps({"id": "x", "choices": [choice], "usage": {"total_tokens": 3}}).encode()


def event(content: str | None, reason: str | None = None) -> bytes:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "x", "choices": [choice]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("text", "reading", "content", "reason"),
    [
        (TEXT, Reading(), "I look.", "tool_calls"),
        (LISTED, Reading(listed=True), None, "tool_calls"),
        ('{"zone": "UTC"}', Reading(tool="time"), None, "stop"),
    ],
)
async def test_a_call_is_told_whole_and_streamed_alike(
    text: str, reading: Reading, content: str | None, reason: str
) -> None:
    body = whole(text)
    told = json.loads(await passed(reading, b"application/json", body[:30], body[30:]))
    (choice,) = told["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "time", "arguments": '{"zone": "UTC"}'}
    assert (choice["message"]["content"], choice["finish_reason"]) == (content, reason)
    assert told["usage"] == {"total_tokens": 3}

    pieces = [event(text[i : i + 5]) for i in range(0, len(text), 5)]
    usage = b'data: {"choices": [], "usage": {}}\n\n'
    stream = [*pieces, event(None, "stop"), usage, b"data: [DONE]\n\n"]
    raw = await passed(reading, b"text/event-stream; charset=utf-8", *stream)
    *events, last, done, rest = raw.split(b"\n\n")
    assert (last + b"\n\n", done, rest) == (usage, b"data: [DONE]", b"")
    choices = [json.loads(one.removeprefix(b"data: "))["choices"][0] for one in events]
    said = "".join(one["delta"].get("content", "") for one in choices)
    (streamed,) = [call for one in choices for call in one["delta"].get("tool_calls", ())]
    assert said == (content or "")
    assert (streamed["index"], streamed["function"]) == (0, call["function"])
    assert choices[-1]["finish_reason"] == reason


async def test_an_answer_without_a_call_keeps_its_text_and_its_reason() -> None:
    told = json.loads(await passed(Reading(), b"application/json", whole("Hello", "length")))
    assert told["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}
    assert told["choices"][0]["finish_reason"] == "length"
    cut = json.loads(await passed(Reading(listed=True), b"application/json", whole(LISTED[:9])))
    assert cut["choices"][0]["message"]["content"] == LISTED[:9]
    assert await passed(Reading(), b"application/json", b"no json") == b"no json"


async def test_the_calls_of_several_choices_are_read_apart() -> None:
    events = [
        b"data: " + json.dumps({"choices": [{"index": i, "delta": {"content": text}}]}).encode()
        for i, text in ((0, "<tool_"), (1, "<b>"), (0, 'call>{"name": "time"}</tool_call>'))
    ]
    raw = await passed(Reading(), b"text/event-stream", b"\n\n".join(events) + b"\n\n")
    told = [json.loads(one[6:])["choices"][0] for one in raw.split(b"\n\n")[:-1]]
    assert [one["delta"].get("content") for one in told] == [None, "<b>", None]
    assert told[2]["delta"]["tool_calls"][0]["function"]["name"] == "time"
