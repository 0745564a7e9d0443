"""The texts of a file that prompts are taken from: plain text, JSONL, or a JSON list.

A ``.txt`` file's texts are its paragraphs. An object of JSON or JSONL has ``text`` or ``prompt``,
or a chat, of which the first words of the user are taken: ``messages`` as chat completions have
them, or ``conversations`` as in ShareGPT's files (``from`` and ``value``).
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loadtest.prompts import PromptError

_PARAGRAPHS = re.compile(r"\n\s*\n")
_USERS = frozenset({"user", "human"})
_SHAPE = '"text", "prompt", "messages" or "conversations"'


def read_prompt_texts(path: Path) -> list[str]:
    """The texts of a file that are not blank, in order.

    Raises:
        PromptError: it cannot be read, a line or an entry is not as above (which one is said), or
            nothing is in it.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"load.text: {path} cannot be read ({error})") from None
    if path.suffix.lower() == ".txt":
        texts = _PARAGRAPHS.split(content)
    else:
        texts = [_text_of(entry, place) for place, entry in _entries(path, content)]
    kept = [text for text in texts if text.strip()]
    if not kept:
        raise PromptError(f"load.text: {path} holds no text")
    return kept


def _entries(path: Path, content: str) -> Iterator[tuple[str, Any]]:
    """Every object of the file, and what to call its place."""
    if content.lstrip().startswith("["):
        listed = _parsed(content, str(path))
        yield from ((f"{path}, entry {n}", it) for n, it in enumerate(listed, start=1))
        return
    # Other ends of lines, such as U+2028, may stand inside a JSON string.
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            yield place, _parsed(line, place)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PromptError(f"load.text: {place}: no JSON ({error})") from None


def _text_of(entry: Any, place: str) -> str:
    """What an object offers as a prompt; "" of a chat in which no user speaks."""
    if isinstance(entry, Mapping):
        found = entry.get("text", entry.get("prompt"))
        if isinstance(found, str):
            return found
        chat = entry.get("messages", entry.get("conversations"))
        if isinstance(chat, list) and all(isinstance(part, Mapping) for part in chat):
            return next((said for part in chat if (said := _said(part))), "")
    raise PromptError(f"load.text: {place}: expected an object with {_SHAPE}")


def _said(part: Mapping[str, Any]) -> str:
    """What a user says in one part of a chat; "" where it is no user's."""
    if part.get("role", part.get("from")) not in _USERS:
        return ""
    said = part.get("content", part.get("value"))
    return said if isinstance(said, str) else ""
