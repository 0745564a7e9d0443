"""Cache slots: which sequence number holds which tokens, and what of it can be used again."""

from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field

from services.server.sampling import TokenScores

# A common prefix shorter than this (often only BOS) is not worth a certain slot.
_WORTH_REUSING_TOKENS = 16


@dataclass
class Slot:
    """One sequence number of the backend and the tokens in its cache.

    ``scores`` of the tokens from the second on, as far as they were computed.
    """

    number: int
    tokens: list[int] = field(default_factory=list)
    scores: TokenScores | None = None
    busy: bool = False
    last_used: int = 0


@dataclass(frozen=True)
class Reuse:
    """How much of a prompt a slot holds already.

    ``cached`` tokens need no decoding; ``scores`` are of the tokens 1 to ``cached``.
    """

    slot: Slot
    cached: int
    scores: TokenScores | None = None


def plan_reuse(slots: Tokens[Slot], prompt: Tokens[int], prompt_logprobs: int | None) -> Reuse:
    """Choose the idle slot that saves most.

    At least the last prompt token is always decoded: its logits are needed. A scored prompt
    can only reuse what was scored with at least as many alternatives.

    Without a common prefix, scored prompts spread over the slots, so that many caches stay for
    their like. Others take the lowest number: running sequences with consecutive numbers are
    computed together, a gap costs one more pass over the model.
    """
    idle = [slot for slot in slots if not slot.busy]
    assert idle, "called without an idle slot"

    def preference(plan: Reuse) -> tuple[int, int]:
        saved = plan.cached if plan.cached >= _WORTH_REUSING_TOKENS else 0
        return saved, -(plan.slot.number if prompt_logprobs is None else plan.slot.last_used)

    return max((_plan(slot, prompt, prompt_logprobs) for slot in idle), key=preference)


def _plan(slot: Slot, prompt: Tokens[int], prompt_logprobs: int | None) -> Reuse:
    cached = min(common_prefix(slot.tokens, prompt), len(prompt) - 1)
    if prompt_logprobs is None:
        return Reuse(slot, cached)
    scores = slot.scores
    if scores is None or scores.top_ids.shape[1] < prompt_logprobs:
        return Reuse(slot, 0)
    # The score of token i is a matter of tokens 0 to i; the token after the last cached one is
    # scored from logits that are not kept, so its predecessor is decoded again.
    cached = min(common_prefix(slot.tokens, prompt) - 1, len(scores))
    if cached <= 0:
        return Reuse(slot, 0)
    return Reuse(slot, cached, scores.part(0, cached).narrowed(prompt_logprobs))


def common_prefix(left: Tokens[int], right: Tokens[int]) -> int:
    """Number of equal leading tokens."""
    limit = min(len(left), len(right))
    for index in range(limit):
        if left[index] != right[index]:
            return index
    return limit
