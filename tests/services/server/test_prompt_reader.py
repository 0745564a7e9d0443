"""A long text neither stops the server nor is read in vain.

covers: services/http/errors.py
"""

import threading

import pytest

from services.http.errors import RequestError
from services.server.backend import Capacity
from services.server.prompt_reader import _AT_ONCE_BYTES, PromptReader
from tests.services.server.gated_backend import GatedBackend


class Words(GatedBackend):
    """One token per character, of at most four bytes; tells the thread it was asked in."""

    def __init__(self, context_length: int) -> None:
        super().__init__(max_sequences=1)
        self.capacity = Capacity(
            vocab_size=2,
            context_length=context_length,
            max_sequences=1,
            batch_tokens=1,
            logits_rows=1,
            end_tokens=frozenset(),
        )
        self.threads: list[str] = []

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        self.threads.append(threading.current_thread().name)
        return [0] * len(text)

    def piece(self, token: int, *, special: bool) -> bytes:
        return b"abcd"[: 1 + 3 * token]


async def test_a_text_longer_than_a_context_of_the_longest_tokens_is_refused_unread() -> None:
    backend = Words(10)
    reader = PromptReader(backend)
    assert len(await reader.prompt("x" * 40, field="prompt", add_special=True)) == 40
    with pytest.raises(RequestError, match="messages: 60 bytes") as refusal:
        await reader.prompt("é" * 30, field="messages", add_special=True)
    assert (refusal.value.status, refusal.value.param) == (400, "messages")
    assert len(backend.threads) == 1


async def test_a_long_text_is_read_beside_the_server_and_a_short_one_at_once() -> None:
    backend = Words(1 << 20)
    reader = PromptReader(backend)
    await reader.tokens("x", add_special=True)
    await reader.prompt("x" * (_AT_ONCE_BYTES + 1), field="prompt", add_special=True)
    here = threading.current_thread().name
    assert backend.threads[0] == here
    assert backend.threads[1] != here
