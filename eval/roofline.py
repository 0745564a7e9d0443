"""How far a variant is from what its card could do at most. Pure.

The roofline model (Williams, Waterman, Patterson: "Roofline", CACM 52(4), 2009): a step takes at
least as long as its bytes need at the card's bandwidth, and as its operations need at its matrix
rate; the longer of both is the limit. Bandwidth and rates are measured on the card itself
(``services/gpus``).

* Bytes of a decoding step: every weight that the step reads, once for all its sequences, and each
  sequence's keys and values. An embedding that is not the output head as well is looked up and not
  read. Of a mixture's experts those are read that any sequence chooses: of E experts, k a token,
  n tokens choose E (1 - (1 - k/E)^n) where they choose evenly.
* Keys and values, bytes of a token: ``quantize/sizing/capacity.py``; a sequence holds its prompt
  and, on average, half of its answer.
* Operations of a token: 2 for every weight that it meets (Kaplan et al., arXiv:2001.08361, 2.1),
  attention's own left out, so that long contexts look a little farther from the limit than they
  are. A prompt meets the output head once.
"""

from dataclasses import dataclass
from typing import Literal

from quantize.sizing.capacity import cache_bytes
from quantize.source.model_shape import ModelShape

Bound = Literal["memory", "matrix"]


@dataclass(frozen=True, kw_only=True)
class Card:
    """What computes a variant: bytes per second, and operations per second of its products.

    ``flop_per_s`` is None where nobody measured it for what the variant multiplies.
    """

    bytes_per_s: float
    flop_per_s: float | None


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a variant must move and compute; sizes in bytes.

    ``shared_bytes`` are read in every step, ``expert_bytes`` are all experts of a mixture, of
    which a token chooses ``chosen`` (a share, 0 to 1). ``token_bytes`` are a token's keys and
    values. ``token_flop`` is of a token in the blocks, ``head_flop`` in the output head.
    """

    shared_bytes: float
    expert_bytes: float
    chosen: float
    token_bytes: float
    token_flop: float
    head_flop: float

    def step_bytes(self, sequences: int, context: float) -> float:
        """What one decoding step of so many sequences of so many tokens reads."""
        read = self.shared_bytes + self.expert_bytes * (1 - (1 - self.chosen) ** sequences)
        return read + sequences * context * self.token_bytes


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The least time for some work in seconds, and what it waits for."""

    seconds: float
    bound: Bound


def work_of(
    shape: ModelShape, *, weight_bytes: int, bits_per_weight: float, embedding_bits: float,
    value_bytes: float,
) -> Work:  # fmt: skip
    """A variant's work, from its model and its manifest's sizes.

    ``bits_per_weight`` is of the quantized linear layers, ``embedding_bits`` of the tables,
    ``value_bytes`` of one stored key or value.
    """
    experts = sum(linear.parameters for linear in shape.linears if linear.copies > 1)
    expert_bytes = experts * bits_per_weight / 8
    looked_up = 0.0 if shape.tied else shape.embedding * embedding_bits / 8
    chosen = shape.experts_per_token / shape.experts if experts else 1.0
    met = shape.linear_parameters - experts * (1 - chosen) + shape.routers
    return Work(
        shared_bytes=max(0.0, weight_bytes - looked_up - expert_bytes),
        expert_bytes=expert_bytes,
        chosen=chosen,
        token_bytes=cache_bytes(shape, 1, 1) * value_bytes,
        token_flop=2 * met,
        head_flop=2 * shape.embedding,
    )


def decode_limit(work: Work, card: Card, *, sequences: int, context: float) -> Limit:
    """The least time of a step that gives each sequence one token."""
    flop = sequences * (work.token_flop + work.head_flop)
    return _limit(work.step_bytes(sequences, context), flop, card)


def prefill_limit(work: Work, card: Card, *, prompt: int, prefix: int = 0) -> Limit:
    """The least time until a prompt's first token, behind a prefix that is in the cache."""
    read = work.step_bytes(prompt, 0) + (prompt + prefix) * work.token_bytes
    return _limit(read, prompt * work.token_flop + work.head_flop, card)


def _limit(read_bytes: float, flop: float, card: Card) -> Limit:
    memory_s = read_bytes / card.bytes_per_s
    matrix_s = flop / card.flop_per_s if card.flop_per_s else 0.0
    bound: Bound = "matrix" if matrix_s > memory_s else "memory"
    return Limit(seconds=max(memory_s, matrix_s), bound=bound)
