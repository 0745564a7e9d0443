"""A chat's messages, spelt alike for every engine.

Engines join the parts of a text in different ways and hand on different keys, so that one chat
would become several prompts. No model served here takes anything but text.
"""

from typing import Any

from services.http.errors import RequestError

# What a template may read of a message.
_FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content")
# What clients add or repeat and no model is told: marks for caches, citations, ids.
_MARKS = frozenset({"annotations", "cache_control", "id"})


def read_messages(value: Any) -> Any:
    """Each message with its text as one string, and without what changes nothing.

    What is no list of messages is left for the engine to refuse. Parts are joined without anything
    between them, as templates that read parts themselves write them.

    Raises:
        RequestError: 400 that names the message and the field or part that is not taken.
    """
    if not isinstance(value, list):
        return value
    return [
        _message(message, f"messages.{place}") if isinstance(message, dict) else message
        for place, message in enumerate(value)
    ]


def _message(message: dict[str, Any], path: str) -> dict[str, Any]:
    # Where it is missing (an assistant that only called tools) templates read it all the same.
    read: dict[str, Any] = {"content": ""}
    for name, value in message.items():
        if value in (None, [], "") or name in _MARKS:
            continue
        if name not in _FIELDS:
            raise RequestError(
                400,
                f"{path}.{name}: this field is not supported",
                param="messages",
                code="unsupported_parameter",
            )
        read[name] = _text(value, f"{path}.content") if name == "content" else value
    return read


def _text(content: Any, path: str) -> Any:
    if not isinstance(content, list):
        return content
    texts = []
    for place, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text" or not isinstance(part.get("text"), str):
            raise RequestError(
                400,
                f"{path}.{place}: only parts of type text are taken, this is "
                f"{kind if isinstance(kind, str) else type(part).__name__}",
                param="messages",
            )
        texts.append(part["text"])
    return "".join(texts)
