"""Prompts as texts, for endpoints that take no token ids: unique, and about as long as asked.

With a tokenizer a text is decoded from so many ids of real text, and kept only where it is encoded
into as many again: the length is exact. Without one, ``CHARACTERS`` stand for a token. All texts of
a run begin with its mark: what the endpoint was asked in earlier runs it may answer from its cache.
"""

import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from loadtest.prompts import PromptError
from quantize.jobs.whole_file import write_whole

# English with the vocabularies of today, 32,000 to 256,000 tokens: 4 to 4.6 characters.
CHARACTERS = 4.3
MOST = 4096
# Texts begin so many words or ids apart, and no two with the same characters.
_STRIDE = 7
_BEGINNING = 40


def new_mark() -> str:
    """What no run before began its texts with."""
    return f"{secrets.token_hex(4)} "


def plain_texts(texts: Sequence[str], tokens: int, mark: str = "") -> list[str]:
    """Stretches of the texts of about so many tokens each, the mark before them among these.

    Raises:
        PromptError: there is too little text.
    """
    words = " ".join(texts).split()
    if len(words) < 2 * _STRIDE:
        raise PromptError(f"the text for prompts has {len(words)} words: too few")
    wanted = max(1, round(tokens * CHARACTERS) - len(mark))
    row = words * (2 + wanted // max(1, len(" ".join(words))))
    starts = range(0, len(words), _STRIDE)
    found = [_cut(row[start : start + tokens * 4], wanted) for start in starts]
    # Of those that begin alike an engine's prefix cache would answer the second.
    kept = [*{text[:_BEGINNING]: text for text in found}.values()][:MOST]
    return [f"{mark}{text}" for text in kept]


def _cut(words: Sequence[str], characters: int) -> str:
    return " ".join(words)[:characters].rstrip()


def exact_texts(texts: Sequence[str], tokens: int, tokenizer: Path, mark: str = "") -> list[str]:
    """Stretches that a tokenizer (a folder with ``tokenizer.json``) makes exactly so many ids of.

    They begin with the mark, as far as that leaves room for one id of text.

    Raises:
        PromptError: there is no tokenizer, or no such stretch.
    """
    path = tokenizer / "tokenizer.json"
    try:
        known = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PromptError(f"{path}: {error}") from None
    ids = [i for text in texts for i in known.encode(text, add_special_tokens=False).ids]
    ids *= 1 + tokens // max(1, len(ids))
    first = known.encode(mark, add_special_tokens=False).ids[: tokens - 1]
    length = tokens - len(first)
    kept = []
    for start in range(0, len(ids) - length, _STRIDE):
        text = known.decode([*first, *ids[start : start + length]], skip_special_tokens=False)
        if len(known.encode(text, add_special_tokens=False).ids) == tokens:
            kept.append(text)
        if len(kept) == MOST:
            break
    if not kept:
        raise PromptError(f"{path}: no stretch of the text is {tokens} tokens again")
    return kept


def save_texts(path: Path, texts: Sequence[str]) -> None:
    """Write them, whole or not at all."""
    write_whole(path, json.dumps(list(texts)))


def load_texts(path: Path) -> list[str]:
    """Read what ``save_texts`` wrote."""
    texts: list[str] = json.loads(path.read_text(encoding="utf-8"))
    return texts


def text_of(texts: Sequence[str], number: int) -> str:
    """Prompt ``number`` (from 0); when all are used they come again behind a mark of their own."""
    lap, place = divmod(number, len(texts))
    return f"({lap}) {texts[place]}" if lap else texts[place]
