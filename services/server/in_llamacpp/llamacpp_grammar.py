"""Holding answers to a JSON schema with llama.cpp's own grammars."""

import ctypes
import re
import weakref
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp.llama_grammar import json_schema_to_gbnf

from services.server.sampling import Logits
from services.server.whole_characters import WholeCharacters

_ROOT = b"root"
# A quoted text, or a class of characters.
_PARTS = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]')
# ``llama_token_data``.
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Grammar:
    """One answer's place in a grammar; one thread at a time may use it."""

    def __init__(self, vocab: Any, schema: str, characters: WholeCharacters) -> None:
        """Compile.

        Raises:
            ValueError: the schema asks for what llama.cpp's grammars have no words for.
        """
        try:
            text = _as_json(json_schema_to_gbnf(schema))
        # The converter has no error of its own: it trips over what it does not know.
        except (AssertionError, AttributeError, IndexError, LookupError, TypeError) as error:
            raise ValueError(f"llama.cpp cannot write a grammar of it ({error!r})") from None
        except RecursionError:
            raise ValueError("it is too deep for a grammar") from None
        self._sampler = llama_cpp.llama_sampler_init_grammar(vocab, text.encode(), _ROOT)
        if not self._sampler:
            raise ValueError("llama.cpp does not take the grammar of it")
        weakref.finalize(self, llama_cpp.llama_sampler_free, self._sampler)
        self._characters, self._unfinished = characters, b""

    def restrict(self, logits: Logits) -> Logits:
        """A copy of one row in which every token is impossible that may not come next."""
        candidates = np.zeros(len(logits), _CANDIDATE)
        candidates["id"] = np.arange(len(logits))
        candidates["logit"] = logits
        self._apply(candidates)
        possible = candidates["logit"]
        whole = np.where(
            self._characters.may_follow(self._unfinished), possible, np.float32(-np.inf)
        )
        # A vocabulary may lack the bytes that would finish a character.
        return whole if np.isfinite(whole).any() else possible.copy()

    def allows(self, token: int) -> bool:
        """Whether one token may come next."""
        if not self._characters.may_follow(self._unfinished)[token]:
            return False
        candidate = np.zeros(1, _CANDIDATE)
        candidate["id"] = token
        self._apply(candidate)
        return bool(candidate["logit"][0] == 0)

    def _apply(self, candidates: np.ndarray[Any, Any]) -> None:
        data = ctypes.cast(candidates.ctypes.data, ctypes.POINTER(llama_cpp.llama_token_data))
        array = llama_cpp.llama_token_data_array(data, len(candidates), -1, False)
        llama_cpp.llama_sampler_apply(self._sampler, ctypes.byref(array))

    def accept(self, token: int) -> None:
        """Go on by one token, which must be possible: llama.cpp ends the process otherwise."""
        llama_cpp.llama_sampler_accept(self._sampler, token)
        self._unfinished = self._characters.after(self._unfinished, token)


def _as_json(grammar: str) -> str:
    """A grammar in which "any character but" leaves out what no JSON string may hold as it is.

    The converter lets control characters through, and a pattern's "." a quote as well.
    """
    return _PARTS.sub(
        lambda part: part[0].replace("[^", r'[^"\\\x00-\x1F', 1) if part[0][0] == "[" else part[0],
        grammar,
    )
