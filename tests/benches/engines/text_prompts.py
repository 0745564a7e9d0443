"""Prompts as text, for not every server takes token ids; and how many tokens a text has."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from loadtest.prompts import make_prompts

_SEED = 7


class TextPrompts:
    """Unique prompts of about ``length`` tokens, cut from texts with the model's tokenizer."""

    def __init__(self, model: Path, texts: Sequence[str], length: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self._source = make_prompts(model, list(texts), seed=_SEED)
        self._length = length

    def text(self, number: int) -> str:
        """Prompt ``number``, from 0."""
        return str(self._tokenizer.decode(self._source.prompt(number, self._length)))

    def count(self, text: str) -> int:
        """Tokens of a text, without those that the tokenizer adds."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
