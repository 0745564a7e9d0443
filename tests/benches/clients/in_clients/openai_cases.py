"""Requests through OpenAI's own package."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai

from tests.benches.clients.in_clients.asked import ASKED, KEY, TOKENS, TOOLS, Case, require

NAMED: Any = {"type": "function", "function": {"name": "weather"}}


def openai_cases(base: str, model: str) -> Iterator[Case]:
    """OpenAI's own package."""
    client = openai.OpenAI(base_url=base, api_key=KEY, max_retries=0, timeout=120)
    create: Any = client.chat.completions.create

    def chat(**fields: Any) -> Any:
        return create(model=model, messages=ASKED, max_tokens=TOKENS, temperature=0, **fields)

    def said(stream: Any) -> str:
        return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)

    def calls(answer: Any) -> None:
        (call,) = answer.choices[0].message.tool_calls
        require(json.loads(call.function.arguments)["city"] in {"Oslo", "Bergen"}, "no city")

    def streamed_call() -> None:
        parts = [c.choices[0].delta for c in chat(tools=TOOLS, tool_choice=NAMED, stream=True)]
        found = [call for part in parts for call in part.tool_calls or ()]
        require("city" in "".join(call.function.arguments for call in found), "no call")

    def missing(ask: Callable[[], object], kind: type[Exception]) -> None:
        try:
            ask()
        except kind:
            return
        raise ValueError(f"no {kind.__name__}")

    schema = {"name": "place", "schema": TOOLS[0]["function"]["parameters"], "strict": True}
    form = {"type": "json_schema", "json_schema": schema}
    yield (
        "models.list",
        lambda: require(model in {m.id for m in client.models.list()}, "not listed"),
    )
    yield "models.retrieve", lambda: require(client.models.retrieve(model).id == model, "another")
    yield (
        "an unknown model",
        lambda: missing(lambda: client.models.retrieve("gpt-4"), openai.NotFoundError),
    )
    yield (
        "embeddings",
        lambda: missing(
            lambda: client.embeddings.create(model=model, input="a"), openai.NotFoundError
        ),
    )
    yield (
        "completions",
        lambda: require(
            client.completions.create(model=model, prompt="Mavia", max_tokens=4, temperature=0)
            .choices[0]
            .text,
            "empty",
        ),
    )
    yield "chat", lambda: require(chat().choices[0].message.content, "empty")
    yield (
        "chat, streamed",
        lambda: require(said(chat(stream=True, stream_options={"include_usage": True})), "empty"),
    )
    yield (
        "tools, none",
        lambda: require(
            not chat(tools=TOOLS, tool_choice="none").choices[0].message.tool_calls, "a call"
        ),
    )
    yield "tools, auto", lambda: chat(tools=TOOLS).choices[0].finish_reason
    yield (
        "tools, required",
        lambda: calls(chat(tools=TOOLS, tool_choice="required", parallel_tool_calls=False)),
    )
    yield "tools, named", lambda: calls(chat(tools=TOOLS, tool_choice=NAMED))
    yield "tools, named, streamed", streamed_call
    yield (
        "a tool's answer",
        lambda: create(
            model=model,
            max_tokens=4,
            messages=[*ASKED, *answered_call()],
            tools=TOOLS,
        ),
    )
    yield "response_format text", lambda: chat(response_format={"type": "text"})
    yield (
        "response_format json_schema",
        lambda: require(
            json.loads(chat(response_format=form).choices[0].message.content)["city"], "no city"
        ),
    )
    yield (
        "response_format json_object",
        lambda: require(
            chat(response_format={"type": "json_object"})
            .choices[0]
            .message.content.lstrip()
            .startswith("{"),
            "no object",
        ),
    )


def answered_call() -> list[Any]:
    """A call and its answer, as a program sends them back."""
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
    }
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
