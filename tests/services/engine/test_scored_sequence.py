"""One sequence agrees within the model's own noise, and shows where it begins not to."""

import pytest

from services.engine.scored_sequence import Limits, ScoredSequence

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
