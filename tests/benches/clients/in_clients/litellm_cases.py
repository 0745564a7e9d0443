"""Requests through LiteLLM, which has one API for many."""

from collections.abc import Iterator
from typing import Any

import litellm

from tests.benches.clients.in_clients.asked import ASKED, KEY, TOKENS, TOOLS, Case, require


def litellm_cases(base: str, model: str) -> Iterator[Case]:
    """LiteLLM, which takes one API for many."""

    def ask(**fields: Any) -> Any:
        return litellm.completion(
            model=f"openai/{model}",
            api_base=base,
            api_key=KEY,
            messages=ASKED,
            max_tokens=TOKENS,
            **fields,
        )

    yield "chat", lambda: require(ask().choices[0].message.content, "empty")
    yield "chat, streamed", lambda: require(list(ask(stream=True)), "empty")
    yield (
        "caching marks",
        lambda: litellm.completion(
            model=f"openai/{model}",
            api_base=base,
            api_key=KEY,
            max_tokens=4,
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
                    ],
                }
            ],
        ),
    )
    yield (
        "completions",
        lambda: litellm.text_completion(
            model=f"text-completion-openai/{model}",
            api_base=base,
            api_key=KEY,
            prompt="Mavia",
            max_tokens=4,
        ),
    )
    yield (
        "tools, required",
        lambda: require(
            ask(tools=TOOLS, tool_choice="required").choices[0].message.tool_calls, "no call"
        ),
    )
