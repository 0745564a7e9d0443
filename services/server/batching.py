"""What goes into the next decode: a pure choice over the running sequences."""

from collections.abc import Sequence as Running
from dataclasses import dataclass

from services.server.backend import Batch, Capacity
from services.server.sequence import Sequence

# Prompt tokens per step while others wait for their next token: at least a few steps' worth.
_PREFILL_BESIDE_DECODE = 128
# Prompt tokens that are not worth a pass of their own.
_FEW_MORE = 8


@dataclass(frozen=True)
class Segment:
    """One sequence's part of a batch: its tokens, and which rows of logits are its own."""

    sequence: Sequence
    tokens: list[int]
    first_row: int
    rows: int
    is_prompt: bool


def compose(running: Running[Sequence], capacity: Capacity) -> tuple[Batch, list[Segment]]:
    """The next token of every sequence that decodes, then prompts as far as there is room.

    Prompts share the room left (``share_room``) and their ``prefilled`` is advanced. Decoding
    sequences stand in slot order, as only consecutive numbers are computed together.
    """
    batch = Batch()
    segments = []
    for sequence in sorted(running, key=lambda item: item.slot):
        if not sequence.is_prefilling:
            token = sequence.generated[-1]
            segments.append(Segment(sequence, [token], batch.rows, 1, is_prompt=False))
            batch.add(sequence.slot, sequence.length - 1, token, True)
    prompts = [sequence for sequence in running if sequence.is_prefilling]
    limit = capacity.batch_tokens
    if segments:
        # Where more prompts are read than sequences decode, a step reads more of them.
        share = max(len(prompts), len(segments))
        limit = min(limit, len(batch) + _PREFILL_BESIDE_DECODE * share // len(segments))
    left = [len(sequence.request.prompt) - sequence.prefilled for sequence in prompts]
    shares = levelled(share_room(left, limit - len(batch)))
    for sequence, room in zip(prompts, shares, strict=True):
        if room:
            rows_left = capacity.logits_rows - batch.rows
            segment = _add_prompt(batch, sequence, room, rows_left)
            if segment.tokens:
                segments.append(segment)
    return batch, segments


def share_room(wanted: Running[int], room: int) -> list[int]:
    """How many tokens of a step each prompt gets, which wants so many yet; oldest first.

    Half belongs to the oldest, so that it goes on whatever comes after it. The other half goes to
    the shortest, so that a short prompt need not wait for a long one. What they leave is the
    oldest's again.
    """
    shares = [0] * len(wanted)
    if not wanted:
        return shares
    shares[0] = min(wanted[0], max(room // 2, room - sum(wanted[1:])))
    room -= shares[0]
    for place in sorted(range(1, len(wanted)), key=lambda place: wanted[place]):
        shares[place] = min(wanted[place], room)
        room -= shares[place]
    return shares


def levelled(shares: Running[int]) -> list[int]:
    """The shares, with those that are a little larger than the least cut down to it.

    Sequences with caches of their own are computed together as far as they have equally many
    tokens; what one has more is another pass over the model. A few tokens wait for the next step,
    where the others have their next tokens to decode.
    """
    least = min((share for share in shares if share), default=0)
    return [least if least < share <= least + _FEW_MORE else share for share in shares]


def _add_prompt(batch: Batch, sequence: Sequence, room: int, rows_left: int) -> Segment:
    """Add the next part of a prompt; rows of logits are limited as well as tokens."""
    prompt, start, first_row = sequence.request.prompt, sequence.prefilled, batch.rows
    scored = sequence.request.prompt_logprobs is not None
    stop = min(len(prompt), start + (min(room, rows_left) if scored else room))
    if stop == len(prompt) and rows_left < 1:
        stop = max(start, stop - 1)
    for position in range(start, stop):
        ends = position == len(prompt) - 1
        wants = sequence.wants_token if ends else scored
        batch.add(sequence.slot, position, prompt[position], wants)
    sequence.prefilled = stop
    rows = batch.rows - first_row
    return Segment(sequence, prompt[start:stop], first_row, rows, is_prompt=True)
