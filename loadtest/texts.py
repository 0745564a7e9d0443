"""Prompts as texts, for endpoints that take no token ids: unique, and about as long as asked.

With a tokenizer a text is decoded from so many ids of real text, and kept only where it is encoded
into as many again: the length is exact, of every text. Without one, ``CHARACTERS`` stand for a
token. Every text of a run that has a mark begins with one of its own, made from that: what the
endpoint was asked before, in this run or an earlier one, it may answer from its cache. When all
texts are used they come again, each time behind other marks.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
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
# A text that is shorter grows by its mark, as marks alone would not tell it from others.
_SHORTEST = 16
# Marks that are tried before a text, and texts before it is given up.
_MARKS, _TRIES = 8, 64
_MARK_CHARACTERS = 8


def new_mark() -> str:
    """What no run before made the marks of its texts from."""
    return secrets.token_hex(_MARK_CHARACTERS // 2)


def _mark_of(mark: str, *place: int) -> str:
    """The mark of one text of a run."""
    words = " ".join([mark, *map(str, place)]).encode()
    return f"{hashlib.blake2b(words, digest_size=_MARK_CHARACTERS // 2).hexdigest()} "


@cache
def _known(tokenizer: str) -> Tokenizer:
    try:
        return Tokenizer.from_str(Path(tokenizer).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PromptError(f"{tokenizer}: {error}") from None


@dataclass(frozen=True)
class Exact:
    """What texts of exactly ``tokens`` ids are cut from: ``ids`` of real text, from ``starts`` on.

    ``tokenizer`` is its file, ``mark`` the run's.
    """

    tokenizer: str
    tokens: int
    mark: str
    ids: Sequence[int]
    starts: Sequence[int]

    def text(self, start: int, mark: str) -> str | None:
        """The text behind a mark, as far as that leaves room for one id; None: it is not exact."""
        known = _known(self.tokenizer)
        first = known.encode(mark, add_special_tokens=False).ids[: self.tokens - 1]
        rest = self.ids[start : start + self.tokens - len(first)]
        text: str = known.decode([*first, *rest], skip_special_tokens=False)
        again = known.encode(text, add_special_tokens=False).ids
        return text if len(again) == self.tokens else None

    def again(self, lap: int, place: int) -> str:
        """The text of a place when all were used ``lap`` times: behind a mark that none had.

        Raises:
            PromptError: no mark leaves it as long as it must be.
        """
        for attempt in range(_TRIES):
            start = self.starts[(place + attempt // _MARKS) % len(self.starts)]
            if (text := self.text(start, _mark_of(self.mark, lap, place, attempt))) is not None:
                return text
        raise PromptError(f"{self.tokenizer}: no mark leaves a text at {self.tokens} tokens")


@dataclass(frozen=True)
class Texts:
    """The prompts of a run; ``exact`` is what they were cut from where their length is exact."""

    texts: Sequence[str]
    exact: Exact | None = None

    def text(self, number: int) -> str:
        """Prompt ``number`` (from 0), as long as all."""
        lap, place = divmod(number, len(self.texts))
        text = self.texts[place]
        if not lap:
            return text
        if self.exact is not None:
            return self.exact.again(lap, place)
        return f"({lap}) {text}"[: max(len(text), _SHORTEST)]


def plain_texts(texts: Sequence[str], tokens: int, mark: str = "") -> Texts:
    """Stretches of the texts of about so many tokens each, the marks before them among these.

    Raises:
        PromptError: there is too little text.
    """
    words = " ".join(texts).split()
    if len(words) < 2 * _STRIDE:
        raise PromptError(f"the text for prompts has {len(words)} words: too few")
    wanted = max(1, round(tokens * CHARACTERS) - (_MARK_CHARACTERS + 1 if mark else 0))
    row = words * (2 + wanted // max(1, len(" ".join(words))))
    starts = range(0, len(words), _STRIDE)
    found = [_cut(row[start : start + tokens * 4], wanted) for start in starts]
    # Of those that begin alike an engine's prefix cache would answer the second.
    kept = [*{text[:_BEGINNING]: text for text in found}.values()][:MOST]
    return Texts(
        [_mark_of(mark, place) + text for place, text in enumerate(kept)] if mark else kept
    )


def _cut(words: Sequence[str], characters: int) -> str:
    return " ".join(words)[:characters].rstrip()


def exact_texts(texts: Sequence[str], tokens: int, tokenizer: Path, mark: str = "") -> Texts:
    """Stretches that a tokenizer (a folder with ``tokenizer.json``) makes exactly so many ids of.

    They begin with their marks, as far as those leave room for one id of text.

    Raises:
        PromptError: there is no tokenizer, or no such stretch.
    """
    path = tokenizer / "tokenizer.json"
    known = _known(str(path))
    ids = [i for it in texts for i in known.encode(it, add_special_tokens=False).ids]
    ids *= 1 + tokens // max(1, len(ids))
    source = Exact(tokenizer=str(path), tokens=tokens, mark=mark, ids=ids, starts=())
    kept: dict[int, str] = {}
    for start in range(0, len(ids) - tokens, _STRIDE):
        if (text := source.text(start, _mark_of(mark, start) if mark else "")) is not None:
            kept[start] = text
        if len(kept) == MOST:
            break
    if not kept:
        raise PromptError(f"{path}: no stretch of the text is {tokens} tokens again")
    return Texts([*kept.values()], replace(source, starts=[*kept]))


def save_texts(path: Path, texts: Texts) -> None:
    """Write them, whole or not at all."""
    write_whole(path, json.dumps(asdict(texts)))


def load_texts(path: Path) -> Texts:
    """Read what ``save_texts`` wrote, and the tokenizer: a large one would take its time later.

    Raises:
        PromptError: the tokenizer is gone.
    """
    told = json.loads(path.read_text(encoding="utf-8"))
    if told["exact"] is None:
        return Texts(told["texts"])
    exact = Exact(**told["exact"])
    _known(exact.tokenizer)
    return Texts(told["texts"], exact)
