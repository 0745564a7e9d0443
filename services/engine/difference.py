"""Where a variant begins to differ from transformers, and what kind of difference that is. Pure.

The kinds are told apart by which sequences of the probe differ, and from where on.
"""

from collections.abc import Sequence

from quantize.agreement.probe import Probe
from services.engine.scored_sequence import ScoredSequence

WITH_BOS, WITHOUT_BOS, SPECIAL, CHAT, TEXT = (
    "with BOS",
    "without BOS",
    "special tokens",
    "chat",
    "text",
)
_THIRDS = 3
# Fewer tokens say nothing of what grows with the position.
_LONG = 120
_REMAKE = "delete its artifact and run `make quantize`; if it still differs, leave the variant out"


def describe(sequences: Sequence[ScoredSequence], probe: Probe, against: str) -> str | None:
    """One sentence on the differences and what they mean; None where all sequences agree."""
    differing = [sequence for sequence in sequences if not sequence.agrees]
    if not differing:
        return None
    kind, remedy = _kind(sequences, differing, probe)
    first = max(differing, key=lambda sequence: len(sequence.ids))
    place = first.begins
    return (
        f"differs from {against} {kind}: from position {place + 1} on (token "
        f"{first.ids[place + 1]}, {first.heard[place]:.2f} nats where {first.expected[place]:.2f} "
        f"is expected), {first.mean_nats:.3f} nats a token on average where rounding explains "
        f"{first.limit_nats:.3f}, {max(first.differences):.2f} at worst, over {len(first.spread)} "
        f"tokens {first.name}; {remedy}"
    )


def _kind(
    sequences: Sequence[ScoredSequence], differing: Sequence[ScoredSequence], probe: Probe
) -> tuple[str, str]:
    """The kind of difference, and what to do."""
    names = {sequence.name for sequence in differing}
    equal = {sequence.name for sequence in sequences} - names
    longest = max(sequences, key=lambda sequence: len(sequence.ids))
    if not longest.agrees and (late := _late(longest, probe.window)):
        return late
    if names == {TEXT}:
        return "only where it reads text itself, which its tokenizer reads otherwise", _REMAKE
    if names <= {SPECIAL, CHAT} and SPECIAL in names:
        return "only at special tokens, whose embeddings or ids are others", _REMAKE
    if WITH_BOS in names and WITHOUT_BOS in equal:
        return "only after BOS, of which it makes two, or something else", _REMAKE
    if WITHOUT_BOS in names and WITH_BOS in equal:
        return "only without BOS, which it sets before the ids by itself", _REMAKE
    return (
        "from the beginning (other weights, biases or another output head than transformers reads "
        "from the model, or another configuration)",
        _REMAKE,
    )


def _late(sequence: ScoredSequence, window: int | None) -> tuple[str, str] | None:
    """What differs only later in a long sequence."""
    count = len(sequence.spread)
    if window is not None and count > window and sequence.part_agrees(0, window):
        return (
            f"only beyond the model's attention window of {window} tokens, which it does not keep",
            f"serve it with serving.context_length up to {window}, or leave the variant out",
        )
    if count >= _LONG and sequence.part_agrees(0, count // _THIRDS):
        return (
            "more with every position (another rotary embedding: rope_theta, rope_scaling)",
            "leave the variant out",
        )
    return None
