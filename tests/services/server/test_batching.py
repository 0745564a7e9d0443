"""What goes into the next batch, decided without an engine.

covers: services/server/sequence.py
"""

from dataclasses import replace

import pytest

from services.server.backend import Capacity
from services.server.batching import compose, levelled, share_room
from services.server.sampling import SamplingParameters
from services.server.sequence import GenerationRequest, Sequence

CAPACITY = Capacity(
    vocab_size=10,
    context_length=4096,
    max_sequences=4,
    batch_tokens=512,
    logits_rows=8,
    end_tokens=frozenset(),
)


def sequence(
    slot: int, prompt_length: int, *, scored: bool = False, max_tokens: int = 5
) -> Sequence:
    request = GenerationRequest(
        prompt=[1] * prompt_length,
        max_tokens=max_tokens,
        sampling=SamplingParameters(),
        prompt_logprobs=1 if scored else None,
    )
    return Sequence(request, lambda chunk: None, slot=slot)


def decoding(slot: int) -> Sequence:
    made = sequence(slot, 1)
    made.prefilled = 1
    made.generated.append(7)
    return made


def test_decoding_sequences_come_first_in_slot_order() -> None:
    batch, segments = compose([decoding(2), sequence(0, 3), decoding(1)], CAPACITY)
    assert batch.sequences == [1, 2, 0, 0, 0]
    assert batch.positions == [1, 1, 0, 1, 2]
    assert batch.wants_logits == [True, True, False, False, True]
    assert [segment.first_row for segment in segments] == [0, 1, 2]


def test_a_long_prompt_is_read_in_smaller_parts_while_others_decode() -> None:
    alone, beside = sequence(0, 1000), sequence(0, 1000)
    assert len(compose([alone], CAPACITY)[0]) == 512
    assert len(compose([beside, decoding(1)], CAPACITY)[0]) == 129
    assert beside.prefilled == 128


@pytest.mark.parametrize(("waiting", "read"), [(1, 128), (2, 128), (3, 192), (7, 448), (15, 510)])
def test_the_more_prompts_there_are_the_more_is_read_beside_decoding(
    waiting: int, read: int
) -> None:
    prompts = [sequence(slot, 500) for slot in range(2, 2 + waiting)]
    roomy = replace(CAPACITY, max_sequences=2 + waiting)
    compose([decoding(0), decoding(1), *prompts], roomy)
    assert sum(prompt.prefilled for prompt in prompts) == read


def test_a_scored_prompt_never_asks_for_more_rows_than_there_are() -> None:
    prompt = sequence(0, 20, scored=True)
    sizes = []
    while prompt.is_prefilling:
        batch, _ = compose([prompt], CAPACITY)
        assert batch.rows <= CAPACITY.logits_rows
        sizes.append(len(batch))
    assert sizes == [8, 8, 4]


def test_a_prompt_waits_with_its_last_token_when_no_row_is_left() -> None:
    first, second = sequence(0, 20, scored=True), sequence(1, 3)
    batch, segments = compose([first, second], CAPACITY)
    assert batch.rows == 8
    assert second.prefilled == 2
    assert segments[1].rows == 0


def test_a_prompt_that_is_only_scored_wants_no_logits_of_its_last_token() -> None:
    batch, _ = compose([sequence(0, 4, scored=True, max_tokens=0)], CAPACITY)
    assert batch.wants_logits == [True, True, True, False]


@pytest.mark.parametrize(
    ("wanted", "shares"),
    [
        ([], []),
        ([1000], [128]),
        ([20, 30], [20, 30]),
        ([1000, 30], [98, 30]),
        ([1000, 900, 30], [64, 34, 30]),
        ([32, 32, 32, 32, 32], [32, 32, 32, 32, 0]),
        ([40, 500], [40, 88]),
    ],
)
def test_half_a_step_is_the_oldest_prompts_and_the_rest_goes_to_the_shortest(
    wanted: list[int], shares: list[int]
) -> None:
    assert share_room(wanted, 128) == shares


def test_a_short_prompt_is_read_at_once_beside_a_long_one() -> None:
    long, short = sequence(0, 3000), sequence(1, 20)
    compose([long, short, decoding(2), decoding(3)], CAPACITY)
    assert (long.prefilled, short.prefilled) == (108, 20)


def test_prompts_of_nearly_one_length_are_read_in_one_pass_and_their_last_tokens_later() -> None:
    assert levelled([15, 17, 0, 23, 24]) == [15, 15, 0, 15, 24]
    assert levelled([]) == []
    first, second = sequence(0, 15), sequence(1, 17)
    batch, _ = compose([first, second], CAPACITY)
    assert len(batch) == 30
    first.generated.append(7)
    batch, _ = compose([first, second], CAPACITY)
    assert batch.sequences == [0, 1, 1]
