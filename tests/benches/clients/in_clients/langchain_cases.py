"""Requests through LangChain's ChatOpenAI."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tests.benches.clients.in_clients.asked import ASKED, KEY, TOKENS, TOOLS, Case, require


class Place(BaseModel):
    """An answer that has a shape."""

    city: Literal["Oslo", "Bergen"]


def langchain_cases(base: str, model: str) -> Iterator[Case]:
    """LangChain's ChatOpenAI."""
    chat = ChatOpenAI(
        model=model, base_url=base, api_key=KEY, max_tokens=TOKENS, temperature=0, max_retries=0
    )
    asked = [HumanMessage(str(ASKED[0]["content"]))]
    yield "invoke", lambda: require(chat.invoke(asked).content, "empty")
    yield "stream", lambda: require(list(chat.stream(asked)), "empty")
    yield "batch", lambda: require(len(chat.batch([asked, asked])) == 2, "not two")
    yield (
        "bind_tools",
        lambda: require(
            chat.bind_tools(TOOLS, tool_choice="weather").invoke(asked).tool_calls, "no call"
        ),
    )
    for method in ("function_calling", "json_schema"):
        ask = partial(chat.with_structured_output(Place, method=method).invoke, asked)
        yield f"structured output, {method}", partial(require_place, ask)


def require_place(ask: Callable[[], object]) -> None:
    """Hold an answer to its shape."""
    require(isinstance(ask(), Place), "no place")
