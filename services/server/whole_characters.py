"""Which tokens keep the bytes of an answer whole UTF-8.

llama.cpp's grammars read bytes leniently: they take an overlong form or half a surrogate for one
character, of which every reader of the answer makes three replacement characters, so a string that
was held to three characters had five.
"""

import codecs
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# What may follow the second, third and fourth byte of a character is any continuation byte: as
# after a first byte without conditions of its own. By how many bytes are missing.
_PLAIN = {1: b"\xc2", 2: b"\xe1"}


def open_bytes(text: bytes) -> bytes | None:
    """The bytes of an unfinished character at the end of ``text``; None where it is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(text)
    except UnicodeDecodeError:
        return None
    rest = decoder.getstate()[0]
    # Half a surrogate, which the decoder refuses at its last byte alone.
    return None if rest[:1] == b"\xed" and rest[1:2] > b"\x9f" else rest


class WholeCharacters:
    """The tokens of a vocabulary by what they do to a character; ``pieces`` are bytes by id."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._parts = {
            token: piece for token, piece in enumerate(pieces) if open_bytes(piece) != b""
        }
        self._whole = np.ones(len(pieces), np.bool_)
        self._whole[list(self._parts)] = False
        self._known: dict[bytes, NDArray[np.bool_]] = {}

    def may_follow(self, unfinished: bytes) -> NDArray[np.bool_]:
        """By token, whether it may come after the ``unfinished`` bytes of a character (or none)."""
        state = _state(unfinished)
        if state not in self._known:
            allowed = self._whole & (not state)
            allowed[
                [t for t, piece in self._parts.items() if open_bytes(state + piece) is not None]
            ] = True
            self._known[state] = allowed
        return self._known[state]

    def after(self, unfinished: bytes, token: int) -> bytes:
        """What bytes of a character are unfinished when a token has come after ``unfinished``."""
        part = self._parts.get(token)
        return open_bytes(unfinished + part) or b"" if part is not None else b""


def _state(unfinished: bytes) -> bytes:
    """Bytes after which the same may follow, of which there are eight."""
    if len(unfinished) < 2:
        return unfinished
    length = 4 if unfinished[0] >= 0xF0 else 3
    return _PLAIN[length - len(unfinished)]
