"""What programs ask for, whichever library they ask through."""

from collections.abc import Callable
from typing import Any

KEY = "none"
ASKED = [{"role": "user", "content": "Where was Mavia Ironwain born?"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "enum": ["Oslo", "Bergen"]}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]
# An answer of JSON by a model that knows none: a token for each of its bytes, and spaces.
TOKENS = 96
Case = tuple[str, Callable[[], object]]


def require(holds: object, what: str) -> None:
    """Hold an answer to what was asked."""
    if not holds:
        raise ValueError(what)
