import numpy as np

from services.server.sampling import TokenScores
from services.server.slots import Slot, plan_reuse


def scores(count: int, k: int) -> TokenScores:
    values = -np.arange(1.0, count + 1)
    tops = np.tile(values[:, None], (1, k))
    return TokenScores(values, np.zeros((count, k), np.int64), tops)


def test_the_slot_with_the_longest_common_prefix_is_chosen() -> None:
    shared = list(range(100, 140))
    slots = [Slot(0, [*shared[:20], 2]), Slot(1, [*shared, 3, 4]), Slot(2, [9])]
    reuse = plan_reuse(slots, [*shared, 3, 5], None)
    assert (reuse.slot.number, reuse.cached) == (1, 41)


def test_a_prefix_of_a_few_tokens_does_not_decide_the_slot() -> None:
    assert plan_reuse([Slot(0, [8]), Slot(1, [1, 2, 3])], [1, 2, 4], None).slot.number == 0


def test_the_last_prompt_token_is_always_decoded() -> None:
    assert plan_reuse([Slot(0, [1, 2, 3, 4])], [1, 2, 3], None).cached == 2


def test_a_busy_slot_is_never_chosen() -> None:
    slots = [Slot(0, [1, 2, 3], busy=True), Slot(1)]
    reuse = plan_reuse(slots, [1, 2, 3], None)
    assert (reuse.slot.number, reuse.cached) == (1, 0)


def test_generating_sequences_take_the_lowest_slot_and_scored_ones_the_longest_unused() -> None:
    slots = [Slot(0, [7], last_used=5), Slot(1, [8], last_used=2), Slot(2, [9], last_used=4)]
    assert plan_reuse(slots, [1], None).slot.number == 0
    assert plan_reuse(slots, [1], 1).slot.number == 1


def test_a_scored_prompt_reuses_only_what_was_scored() -> None:
    unscored = Slot(0, [1, 2, 3, 4])
    assert plan_reuse([unscored], [1, 2, 3, 5], 1).cached == 0
    scored = Slot(0, [1, 2, 3, 4], scores(3, 1))
    reuse = plan_reuse([scored], [1, 2, 3, 5], 1)
    assert reuse.cached == 2
    assert reuse.scores is not None
    assert reuse.scores.chosen.tolist() == [-1, -2]


def test_scores_with_too_few_alternatives_are_not_reused() -> None:
    assert plan_reuse([Slot(0, [1, 2, 3], scores(2, 1))], [1, 2, 3], 5).cached == 0


def test_scores_reach_no_further_than_the_prompt_they_were_computed_for() -> None:
    generated_too = Slot(0, [1, 2, 3, 4, 5], scores(1, 1))
    assert plan_reuse([generated_too], [1, 2, 3, 4, 5], 1).cached == 1
