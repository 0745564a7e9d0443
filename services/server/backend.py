"""What the server needs of an inference library: a small protocol and its plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from quantize.artifact.conversation import Conversation
from services.server.sampling import Logits

# Tokens per decode, but never fewer than there are sequences.
BATCH_TOKENS = 512
# Logits of one decode: rows x vocabulary x 4 bytes stay below this.
_LOGITS_BYTES = 64 << 20


def rows_of_logits(vocab_size: int, max_sequences: int) -> int:
    """Rows of float32 logits that one decode may ask for: at least one per sequence."""
    return max(max_sequences, min(BATCH_TOKENS, _LOGITS_BYTES // (4 * vocab_size)))


class BackendError(Exception):
    """The library refused a model or failed to decode; the message says what it reported."""


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What a loaded model is and how much it takes at once.

    ``batch_tokens``: tokens per decode; ``logits_rows``: rows of logits per decode (bounds
    memory). ``strips_first_space``: decoding a whole text drops the tokenizer's added space.
    """

    vocab_size: int
    context_length: int
    max_sequences: int
    batch_tokens: int
    logits_rows: int
    end_tokens: frozenset[int]
    strips_first_space: bool = False
    conversation: Conversation = field(default_factory=Conversation)


@dataclass(frozen=True, kw_only=True)
class LoadedWeights:
    """Proof of what is held: bytes in memory, the library's description, tensors by type."""

    weight_bytes: int
    description: str
    tensor_types: Mapping[str, int]


@dataclass
class Batch:
    """Tokens to decode: parallel lists, one entry per token."""

    sequences: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    wants_logits: list[bool] = field(default_factory=list)
    rows: int = 0

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, sequence: int, position: int, token: int, wants_logits: bool) -> None:
        """Append one token; ``rows`` counts the rows of logits that come back."""
        self.sequences.append(sequence)
        self.positions.append(position)
        self.tokens.append(token)
        self.wants_logits.append(wants_logits)
        self.rows += wants_logits

    def advance(self, tokens: list[int]) -> None:
        """Go on by one token in each sequence, where each has one."""
        self.tokens = tokens
        self.positions = [position + 1 for position in self.positions]


class Constraint(Protocol):
    """What one answer is held to; called by one thread at a time."""

    def restrict(self, logits: Logits) -> Logits:
        """A copy of one row of logits, minus infinity where a token may not come next."""
        ...

    def allows(self, token: int) -> bool:
        """Whether one token may come next; much faster than to ask of all."""
        ...

    def accept(self, token: int) -> None:
        """Go on by one token that may come next and ends nothing."""
        ...


class Backend(Protocol):
    """An inference library with a key-value cache per sequence number.

    ``decode`` and ``trim`` are called from one thread only; the others from any.
    """

    @property
    def capacity(self) -> Capacity:
        """Constant facts; never blocks."""
        ...

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids; ``add_special`` adds the tokenizer's default BOS. Never fails on text."""
        ...

    def piece(self, token: int, *, special: bool) -> bytes:
        """A token's bytes, possibly part of a character; control tokens only if ``special``."""
        ...

    def constrain(self, schema: str) -> Constraint:
        """What holds an answer to a JSON schema; compiling it may take milliseconds.

        Raises ValueError where the library has nothing to hold it with, or not to this schema.
        """
        ...

    def decode(self, batch: Batch) -> Logits:
        """Run the model; blocks for the whole forward pass.

        Returns ``(batch.rows, vocab)`` logits in batch order, a view that the next call
        overwrites. Raises BackendError; the cache of the batch's sequences is then undefined.
        """
        ...

    def trim(self, sequence: int, length: int) -> None:
        """Forget a sequence's cache from position ``length`` on (0 = all). Fast."""
        ...

    def weights(self) -> LoadedWeights:
        """What is held in memory. Fast."""
        ...

    def close(self) -> None:
        """Free everything; no other call may follow."""
        ...
