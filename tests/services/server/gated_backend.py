"""A backend whose decodes wait for the test: scheduling and admission without a race."""

import threading

import numpy as np

from services.server.backend import Batch, Capacity, Constraint, LoadedWeights
from services.server.sampling import Logits


class GatedBackend:
    """Every decode waits until ``gate`` is set; the likeliest token is always 1."""

    def __init__(self, max_sequences: int) -> None:
        self.gate = threading.Event()
        self.decoding = threading.Event()
        self.capacity = Capacity(
            vocab_size=4,
            context_length=64,
            max_sequences=max_sequences,
            batch_tokens=16,
            logits_rows=16,
            end_tokens=frozenset({3}),
        )

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """One token per character."""
        return [0] * len(text)

    def piece(self, token: int, *, special: bool) -> bytes:
        """A letter per token."""
        return b"abcd"[token : token + 1]

    def constrain(self, schema: str) -> Constraint:
        """No grammars."""
        raise ValueError(f"no grammar of {schema}")

    def decode(self, batch: Batch) -> Logits:
        """Blocks until the gate is open."""
        self.decoding.set()
        assert self.gate.wait(timeout=30)
        return np.tile(np.array([0, 1, 0, 0], np.float32), (batch.rows, 1))

    def trim(self, sequence: int, length: int) -> None:
        """Nothing is cached."""

    def weights(self) -> LoadedWeights:
        """No weights."""
        return LoadedWeights(weight_bytes=0, description="gated", tensor_types={})

    def close(self) -> None:
        """Nothing to free."""
