"""A prompt that is only scored has no answer to count, whatever the engine counts.

covers: services/http/edited_answer.py
"""

import json
from collections.abc import MutableMapping
from typing import Any

from services.http.prompt_answer import PromptAnswer

COUNTED = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "x": None}
RIGHT = {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5, "x": None}


async def passed(kind: bytes, *bodies: bytes) -> bytes:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    answer = PromptAnswer(send)
    await answer({"type": "http.response.start", "headers": [(b"content-type", kind)]})
    for body in bodies:
        await answer({"type": "http.response.body", "body": body, "more_body": True})
    await answer({"type": "http.response.body", "body": b""})
    return b"".join(message["body"] for message in sent[1:])


async def test_a_whole_answer_counts_the_prompt_alone() -> None:
    body = json.dumps({"choices": [{"text": "a"}], "usage": COUNTED}).encode()
    told = await passed(b"application/json", body[:9], body[9:])
    assert json.loads(told) == {"choices": [{"text": "a"}], "usage": RIGHT}


async def test_so_does_a_stream_in_every_event_with_a_count() -> None:
    text = b'data: {"choices": [{"text": "a"}]}\n\n'
    count = b"data: " + json.dumps({"choices": [], "usage": COUNTED}).encode() + b"\n\n"
    done = b"data: [DONE]\n\n"
    told = await passed(b"text/event-stream", text, count, done)
    assert told.startswith(text)
    assert told.endswith(done)
    middle = told.removeprefix(text).removesuffix(done).removeprefix(b"data: ")
    assert json.loads(middle) == {"choices": [], "usage": RIGHT}
