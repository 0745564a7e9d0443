"""Prompts as text to token ids, without letting a long one stop the server.

Tokenizing takes seconds for megabytes of text. A text that cannot fit the context is refused by
its length alone, and a long one is read in a thread while the server goes on answering.
"""

import asyncio

from services.http.errors import TOO_LONG, RequestError
from services.server.backend import Backend

# Read where it is: a millisecond at most, and a thread would cost a good part of that.
_AT_ONCE_BYTES = 1 << 14


class PromptReader:
    """Tokenizes for one backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        vocabulary = range(backend.capacity.vocab_size)
        longest = max(len(backend.piece(token, special=True)) for token in vocabulary)
        # An added first space has no byte in the text.
        self._most_bytes = backend.capacity.context_length * max(1, longest) + 1

    async def prompt(self, text: str, *, field: str, add_special: bool) -> list[int]:
        """Token ids of a prompt; ``field`` is what the request calls it.

        Raises:
            RequestError: 400, the text is longer than a whole context of the longest tokens.
        """
        size = len(text.encode(errors="replace"))
        if size > self._most_bytes:
            raise RequestError(
                400,
                f"{field}: {size} bytes of text do not fit the context length of "
                f"{self._backend.capacity.context_length} tokens",
                param=field,
                code=TOO_LONG,
            )
        return await self.tokens(text, add_special=add_special)

    async def tokens(self, text: str, *, add_special: bool) -> list[int]:
        """Token ids of a text of any length."""
        if len(text) <= _AT_ONCE_BYTES:
            return self._backend.tokenize(text, add_special=add_special, parse_special=True)
        return await asyncio.to_thread(
            self._backend.tokenize, text, add_special=add_special, parse_special=True
        )
