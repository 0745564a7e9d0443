"""What a model's chats are written with, read from the files of its tokenizer.

They lie beside a GGUF file, which keeps no more than a default template: what the tokenizer calls
its first token decides what a template writes, and a GGUF file may call another one so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What transformers itself reads them from.
CONVERSATION_FILES = ("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
# The name of a template that stands alone, and of the one for chats without tools.
DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Chat templates by name, and the variables that each of them gets (``bos_token`` …)."""

    templates: Mapping[str, str] = field(default_factory=dict)
    special_tokens: Mapping[str, Any] = field(default_factory=dict)


def read_conversation(folder: Path) -> Conversation | None:
    """As transformers reads it; None where ``folder`` holds no tokenizer's configuration.

    Raises:
        ValueError: a file is no JSON object.
        OSError: a file cannot be read.
    """
    configuration = _object(folder / CONVERSATION_FILES[0])
    if configuration is None:
        return None
    named = {**configuration, **(_object(folder / CONVERSATION_FILES[1]) or {})}
    texts = {
        name: token.get("content") if isinstance(token, dict) else token
        for name, token in named.items()
        if name.endswith("_token")
    }
    return Conversation(
        templates=_templates(folder, configuration.get("chat_template")),
        special_tokens={name: text for name, text in texts.items() if isinstance(text, str)},
    )


def _templates(folder: Path, inside: Any) -> dict[str, str]:
    """The file counts before what stands in the configuration: one template, or a list of them."""
    path = folder / CONVERSATION_FILES[2]
    if path.is_file():
        return {DEFAULT: path.read_text(encoding="utf-8")}
    if isinstance(inside, list):
        return {entry["name"]: entry["template"] for entry in inside}
    return {DEFAULT: inside} if isinstance(inside, str) else {}


def _object(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object")
    return content
