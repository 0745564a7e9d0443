import numpy as np
import pytest

from eval.divergence.token_divergence import first_difference, token_divergence
from tests.eval.divergence.scored import kl, normal, told

RNG = np.random.default_rng(3)


def logits(vocabulary: int, sharpness: float = 1.0, tokens: int = 200) -> np.ndarray:
    return RNG.normal(0, sharpness, (tokens, vocabulary))


def test_where_the_whole_vocabulary_is_told_it_is_the_divergence_itself() -> None:
    one, other = normal(logits(12)), normal(logits(12))
    chosen, text = RNG.integers(0, 12, 200), np.zeros(200, int)
    found = token_divergence(told(one, chosen, text), told(other, chosen, text))
    assert found.kl == pytest.approx(kl(one, other), abs=1e-3)
    assert found.rise == pytest.approx((one - other)[np.arange(200), chosen], abs=1e-5)


def test_of_a_large_vocabulary_it_is_a_lower_bound_and_most_of_it() -> None:
    source = logits(500, 3.0)
    one, other = normal(source), normal(source + RNG.normal(0, 0.3, source.shape))
    chosen, text = RNG.integers(0, 500, 200), np.zeros(200, int)
    found = token_divergence(told(one, chosen, text), told(other, chosen, text))
    whole = kl(one, other)
    assert (found.kl <= whole + 1e-4).all()
    assert found.kl.mean() > 0.7 * whole.mean()
    assert found.remainder.mean() == pytest.approx(
        1 - np.sort(np.exp(one), axis=1)[:, -20:].sum(axis=1).mean(), abs=0.05
    )


def test_the_same_predictions_diverge_nowhere() -> None:
    logs = normal(logits(300))
    scored = told(logs, RNG.integers(0, 300, 200), np.zeros(200, int))
    found = token_divergence(scored, scored)
    assert (found.kl == 0).all()
    assert (found.same_first == 1).all()


def test_a_likeliest_token_that_the_variant_does_not_tell_of_still_counts() -> None:
    one, other = np.zeros((1, 60)), np.zeros((1, 60))
    one[0, 0], other[0, 0] = 6.0, -6.0
    one, other = normal(one), normal(other)
    chosen, text = np.array([5]), np.zeros(1, int)
    found = token_divergence(told(one, chosen, text), told(other, chosen, text))
    assert 0 < found.kl[0] <= kl(one, other)[0]
    assert found.same_first[0] == 0


def test_other_texts_are_refused() -> None:
    logs, chosen = normal(logits(30)), np.zeros(200, int)
    with pytest.raises(ValueError, match="different texts"):
        token_divergence(
            told(logs, chosen, np.zeros(200, int)), told(logs, chosen, np.ones(200, int))
        )


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [([1, 2, 3], [1, 2, 3], None), ([1, 2, 3], [1, 5, 3], 1), ([1, 2, -1], [1, 2, 3], 2)],
)
def test_answers_part_at_their_first_other_token_or_where_one_ends(
    one: list[int], other: list[int], place: int | None
) -> None:
    assert first_difference(one, other) == place
