"""The prompts: token ids of real text, unique per request, the same for every variant.

The calibration text is tokenized once, with the model's own tokenizer, into one long row of ids. A
prompt is BOS and a stretch of that row. No two prompts of a run share their first ids, because an
engine's prefix cache would answer a shared beginning from memory (vllm#52884: +86 % throughput);
and prompt ``i`` of a round and level is a pure function of the seed, so every variant reads the
same prompts in the same order.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from quantize.jobs.whole_file import writing

Ids = npt.NDArray[np.int32]
Arrays = Mapping[str, npt.NDArray[np.generic]]
# Before the names of the arrays of ``PromptSource.beside`` in a file.
_BESIDE = "beside-"

# vLLM shares prefixes in blocks of 16 tokens, the smallest unit of the engines we know: prompts
# that differ within their first 16 ids share nothing. BOS and a mark take up to four of them.
BLOCK = 16
LEAD = 12
GOLDEN = (math.sqrt(5) - 1) / 2


# A round that was disturbed is measured once more, with prompts that the engines have not seen.
ATTEMPTS = 2
# The numbers of one load test; those of the next come after them.
SERIES = 10_000_000


class PromptError(ValueError):
    """No prompts can be made; the message names the file and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class PromptSource:
    """Where prompts are cut from.

    ``ids`` is the text as one row of token ids, ``starts`` the offsets in it at which a prompt may
    begin, shuffled, no two with the same next ``LEAD`` ids. ``lengths`` are those of the texts that
    begin there, empty where prompts begin anywhere. ``beside`` is what a kind of load needs besides
    text, by name.
    """

    bos: int
    ids: Ids
    starts: Ids
    lengths: Ids = field(default_factory=lambda: np.empty(0, np.int32))
    beside: Arrays = field(default_factory=dict)

    def sha256(self) -> str:
        """Hash of everything that decides the prompts."""
        digest = hashlib.sha256(str(self.bos).encode())
        beside = [values for _, values in sorted(self.beside.items())]
        for part in (self.ids, self.starts, self.lengths, *beside):
            digest.update(part.tobytes())
        return digest.hexdigest()

    def text_length(self, number: int) -> int:
        """How many tokens prompt ``number`` has where it is a whole text, BOS among them."""
        return 1 + int(self.lengths[self._place(number)[1]])

    def _place(self, number: int) -> tuple[int, int]:
        """How often all starts were used before prompt ``number``, and which one is its own.

        The numbers of a leg lie evenly apart, and might meet the same few starts time and again; so
        each time around they are others, moved on by the golden ratio's part of all.
        """
        lap, slot = divmod(number, len(self.starts))
        return lap, (slot + int(lap * GOLDEN % 1 * len(self.starts))) % len(self.starts)

    def prompt(
        self, number: int, length: int, *, prefix_tokens: int = 0, prefix: int = 0
    ) -> list[int]:
        """Prompt ``number`` (from 0) as token ids, BOS first.

        ``length`` ids are its own; the ``prefix_tokens`` before them are shared with all prompts of
        that ``prefix`` (from 0).
        """
        if not prefix_tokens:
            return self._own(number, length)
        return [*self.prefix(prefix, prefix_tokens), *self._own(number, length + 1)[1:]]

    def prefix(self, number: int, length: int) -> list[int]:
        """Prefix ``number`` (from 0) as ``length`` ids, BOS first: cut from the end of the row."""
        end = -number * length
        return [self.bos, *self.ids.take(range(end - length, end - 1), mode="wrap").tolist()]

    def _own(self, number: int, length: int) -> list[int]:
        """``length`` token ids, BOS first.

        When the starts are used up they are used again behind a mark: a second BOS, which no text
        holds, and two ids that are others each time around. So prompts stay unique.
        """
        lap, slot = self._place(number)
        mark: list[int] = []
        if lap:
            words = np.unique(self.ids)
            places = divmod(lap - 1, len(words))
            mark = [self.bos, *(int(words[place % len(words)]) for place in places)]
        begin = int(self.starts[slot])
        text_places = np.arange(begin, begin + max(0, length - 1 - len(mark)))
        text = self.ids.take(text_places, mode="wrap").tolist()
        return [self.bos, *mark, *text][:length]

    def save(self, path: Path) -> None:
        """Write to a ``.npz`` file, whole or not at all."""
        with writing(path) as temporary, temporary.open("wb") as stream:
            arrays: dict[str, Any] = {_BESIDE + name: it for name, it in self.beside.items()}
            arrays |= {"ids": self.ids, "starts": self.starts, "lengths": self.lengths}
            np.savez(stream, bos=np.int32(self.bos), **arrays)


def plain_prompts(vocabulary: int = 5000) -> PromptSource:
    """Prompts without a text, for a server that does not read them: every id once, in order."""
    ids = np.arange(vocabulary, dtype=np.int32)
    return PromptSource(bos=1, ids=ids, starts=ids)


def load_prompts(path: Path) -> PromptSource:
    """Read what ``PromptSource.save`` wrote."""
    with np.load(path) as arrays:
        parts = {name: arrays[name] for name in ("ids", "starts", "lengths")}
        beside = {
            name.removeprefix(_BESIDE): arrays[name]
            for name in arrays.files
            if name.startswith(_BESIDE)
        }
        return PromptSource(bos=int(arrays["bos"]), **parts, beside=beside)


def prompt_number(
    *,
    index: int,
    round_number: int,
    rounds: int,
    level: int,
    levels: int,
    attempt: int = 0,
    series: int = 0,
) -> int:
    """The number of prompt ``index`` of a level in an attempt at a round, all counted from 0.

    Rounds, levels and attempts take turns, so that no number comes twice however many requests a
    level sends, and nothing depends on how fast a variant is. Each load test is a ``series`` of its
    own: a server that stayed up would answer prompts of the last one from its cache.
    """
    assert attempt < ATTEMPTS
    number = ((index * rounds + round_number) * levels + level) * ATTEMPTS + attempt
    return series * SERIES + number


def make_prompts(
    tokenizer_directory: Path, texts: list[str], *, seed: int, whole: bool = False
) -> PromptSource:
    """Tokenize texts, in a random order of the seed, with a model's own tokenizer.

    ``whole``: every prompt is one of the texts, from its begin on.

    Raises:
        PromptError: no tokenizer there, no BOS in it, or too little text.
    """
    tokenizer, bos = read_tokenizer(tokenizer_directory)
    rng = np.random.default_rng(seed)
    shuffled = [texts[place] for place in rng.permutation(len(texts))]
    encoded = tokenizer.encode_batch([f"{text}\n" for text in shuffled], add_special_tokens=False)
    rows = [text.ids for text in encoded]
    if whole:
        rows = [list(row) for row in dict.fromkeys(map(tuple, rows)) if row]
    ids = np.array([token for row in rows for token in row], dtype=np.int32)
    if len(ids) < 2 * LEAD:
        raise PromptError(f"the text for prompts has {len(ids)} tokens: too few")
    if not whole:
        return PromptSource(bos=bos, ids=ids, starts=_distinct_starts(ids, rng))
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    starts = (np.cumsum(lengths) - lengths).astype(np.int32)
    return PromptSource(bos=bos, ids=ids, starts=starts, lengths=lengths)


def read_tokenizer(directory: Path) -> tuple[Tokenizer, int]:
    """The tokenizer of a model directory and the id of its BOS (of EOS where it has no BOS).

    Raises:
        PromptError: there is none, or neither of the two in it.
    """
    path = directory / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        config = json.loads((directory / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PromptError(f"{path}: prompts need the model's tokenizer ({error!r})") from None
    for key in ("bos_token", "eos_token"):
        token = config.get(key)
        name = token.get("content") if isinstance(token, dict) else token
        if name is not None and (bos := tokenizer.token_to_id(name)) is not None:
            return tokenizer, bos
    raise PromptError(f"{directory / 'tokenizer_config.json'}: names no bos_token or eos_token")


def _distinct_starts(ids: Ids, rng: np.random.Generator) -> Ids:
    """Shuffled offsets of which no two are followed by the same ``LEAD`` ids."""
    windows = np.lib.stride_tricks.sliding_window_view(ids, LEAD)
    _, first = np.unique(windows, axis=0, return_index=True)
    return rng.permutation(np.sort(first)).astype(np.int32)
