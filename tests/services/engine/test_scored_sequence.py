"""One sequence agrees within the model's own noise, and shows where it begins not to."""

from dataclasses import replace

import pytest

from services.engine.agreement import TIMES_MOVED
from services.engine.scored_sequence import MOST_BY_INPUTS, Limits, ScoredSequence

LIMITS = Limits(mean=5, token=40)


def scored(*differences: float, spread: float = 1.0, noise: float = 0.02) -> ScoredSequence:
    return ScoredSequence(
        name="with BOS",
        ids=range(len(differences) + 1),
        heard=[-2.0 - each for each in differences],
        expected=[-2.0] * len(differences),
        spread=[spread] * len(differences),
        noise=noise,
        limits=LIMITS,
    )


def test_what_rounding_explains_agrees() -> None:
    sequence = scored(*[0.09, -0.08] * 50)
    assert sequence.agrees
    assert sequence.mean_nats == pytest.approx(0.085)
    assert sequence.limit_nats == pytest.approx(0.1)


def test_a_mean_beyond_the_limit_differs() -> None:
    assert not scored(*[0.11] * 100).agrees


def test_tokens_of_which_the_model_is_sure_may_differ_by_less() -> None:
    assert scored(*[0.05] * 100).agrees
    assert not scored(*[0.05] * 100, spread=0.1).agrees


def test_one_token_far_off_differs_though_the_mean_hides_it() -> None:
    sequence = scored(*[0.0] * 50, 0.9, *[0.0] * 50)
    assert sequence.part_agrees(0, 101)
    assert sequence.worst_token == 50
    assert not sequence.agrees


def test_it_begins_at_the_first_token_that_rounding_does_not_move_so_far() -> None:
    assert scored(*[0.05] * 32, *[1.5] * 32).begins == 32


def test_a_noisier_model_may_differ_by_more() -> None:
    assert not scored(*[0.3] * 100).agrees
    assert scored(*[0.3] * 100, noise=0.08).agrees


def test_what_rounding_the_inputs_moves_a_sequence_by_it_may_be_off_by_twice_and_a_half() -> None:
    allowing = replace(LIMITS, times_moved=TIMES_MOVED)
    within, beyond = (
        replace(scored(*[off] * 17, noise=0.01), limits=allowing, moved=[0.1] * 17)
        for off in (0.24, 0.26)
    )
    assert within.agrees
    assert within.limit_nats == pytest.approx(0.25)
    assert not beyond.agrees
    assert not replace(within, moved=()).agrees
    assert not replace(within, limits=LIMITS).agrees


def test_a_token_that_rounding_inputs_moves_as_far_is_not_where_it_begins() -> None:
    allowing = replace(LIMITS, times_moved=TIMES_MOVED)
    found = scored(*[0.9] * 32, *[1.5] * 32)
    assert found.begins == 0
    assert replace(found, limits=allowing, moved=[0.2] * 64).begins == 32
    assert replace(found, limits=allowing, moved=[0.2] * 16 + [0.0] * 48).begins == 16


def test_however_much_inputs_explain_other_weights_differ() -> None:
    inputs = replace(LIMITS, token=1000, times_moved=TIMES_MOVED)
    found = replace(scored(*[1.4] * 60), limits=inputs, moved=[3.0] * 60)
    assert found.limit_nats == MOST_BY_INPUTS
    assert not found.agrees
