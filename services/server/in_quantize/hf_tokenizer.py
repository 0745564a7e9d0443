"""A checkpoint's own tokenizer: text to ids, and each id to its bytes.

Decoding is done by the server, token by token and in bytes, because a token may be a part of a
character. The two families of tokenizers write bytes differently into their vocabularies:
byte-level BPE as one printable character per byte (openai/gpt-2, encoder.py), SentencePiece as
plain text with a mark for spaces, and ``<0x0A>`` for a byte outside its vocabulary.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from quantize.artifact.conversation import DEFAULT, Conversation
from services.server.backend import BackendError

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE_MARK = "▁"


class HfTokenizer:
    """A fast tokenizer with its vocabulary as bytes.

    ``adds_space``: a text that begins with a letter is read as if a space stood before it.
    """

    def __init__(self, folder: Path, vocab_size: int) -> None:
        """Load.

        Raises:
            BackendError: the folder holds no tokenizer that is understood.
        """
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            state = json.loads(self._tokenizer.backend_tokenizer.to_str())
        except (OSError, ValueError, AttributeError) as error:
            raise BackendError(f"{folder} holds no usable tokenizer: {error}") from error
        self._control = {token["id"] for token in state["added_tokens"] if token["special"]}
        added = {token["id"]: token["content"] for token in state["added_tokens"]}
        byte_level = "ByteLevel" in _types(state["decoder"])
        names = self._tokenizer.convert_ids_to_tokens(range(len(self._tokenizer)))
        self._pieces = [
            added[number].encode() if number in added else _bytes(name or "", byte_level)
            for number, name in enumerate(names)
        ]
        # Rows of logits beyond the vocabulary (padding) have no text.
        self._pieces += [b""] * (vocab_size - len(self._pieces))
        first = self.encode("a", add_special=False, parse_special=False)
        self.adds_space = b"".join(self._pieces[token] for token in first).startswith(b" ")

    @property
    def eos_token_id(self) -> int | None:
        """The end token that the tokenizer itself names."""
        number: int | None = self._tokenizer.eos_token_id
        return number

    @property
    def conversation(self) -> Conversation:
        """The chat templates and what they get of the tokenizer."""
        found = self._tokenizer.chat_template
        return Conversation(
            templates=found if isinstance(found, dict) else {DEFAULT: found} if found else {},
            special_tokens=self._tokenizer.special_tokens_map,
        )

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of a text; with ``parse_special`` the text may name control tokens."""
        ids: list[int] = self._tokenizer(
            text, add_special_tokens=add_special, split_special_tokens=not parse_special
        )["input_ids"]
        return ids

    def piece(self, token: int, *, special: bool) -> bytes:
        """A token's bytes; a control token's only if ``special``."""
        return b"" if token in self._control and not special else self._pieces[token]


def _types(decoder: Any) -> set[str]:
    """The kinds of a tokenizer's decoders, which may be nested."""
    if not isinstance(decoder, dict):
        return set()
    inner = (_types(part) for part in decoder.get("decoders", []))
    return {str(decoder.get("type"))}.union(*inner)


def _bytes(name: str, byte_level: bool) -> bytes:
    if byte_level:
        return bytes(_BYTE_OF[character] for character in name if character in _BYTE_OF)
    if (single := _BYTE.fullmatch(name)) is not None:
        return bytes([int(single[1], 16)])
    return name.replace(_SPACE_MARK, " ").encode()


def _printable() -> Iterator[tuple[str, int]]:
    """Byte-level BPE's characters: printable Latin-1 stands for itself, the rest from U+0100 on."""
    shifted = 0
    for byte in range(256):
        if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte <= 0xFF:
            yield chr(byte), byte
        else:
            yield chr(0x100 + shifted), byte
            shifted += 1


_BYTE_OF = dict(_printable())
