import dataclasses

import numpy as np
import pytest

from eval.divergence.compare_texts import Apart, apart, compare_texts
from eval.divergence.divergence_figures import WHOLE, Divergence
from tests.eval.divergence.scored import normal, told

TEXTS, LENGTH, VOCABULARY = 24, 40, 60
TEXT = np.repeat(np.arange(TEXTS), LENGTH)
STRATA = ["prose", "code"] * (TEXTS // 2)


def passes(noise: float, shift: float, seed: int = 2) -> tuple[Apart, Apart]:
    """A variant, and the baseline again, against the baseline."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (len(TEXT), VOCABULARY))
    chosen = np.array([rng.choice(VOCABULARY, p=np.exp(row)) for row in normal(logits)])

    def one(more: float) -> np.ndarray:
        moved = logits + rng.normal(0, noise, logits.shape)
        moved[np.arange(len(TEXT)), chosen] -= more
        return normal(moved)

    first, again, variant = (told(one(it), chosen, TEXT) for it in (0, 0, shift))
    return apart(first, variant), apart(first, again)


def compared(noise: float, shift: float) -> dict[str, Divergence]:
    return compare_texts(*passes(noise, shift), STRATA, 0.95)


def test_the_baseline_itself_is_not_told_from_its_floor() -> None:
    found = compared(noise=0.05, shift=0)[WHOLE]
    assert found.floor is not None
    assert found.excess is not None
    assert found.excess.covers(0)
    assert found.kl.value == pytest.approx(found.floor.kl, rel=0.2)
    assert found.reading == "floor"


def test_what_lies_beyond_twice_the_floor_and_costs_likelihood_is_apart() -> None:
    found = compared(noise=0.05, shift=0.4)[WHOLE]
    assert found.reading == "apart"
    assert found.perplexity_ratio.low is not None
    assert found.perplexity_ratio.low > 1
    assert found.kl.value < found.worst_tenth < found.p99


def test_a_change_that_costs_no_likelihood_is_a_screen() -> None:
    variant, again = passes(noise=0.05, shift=0.4)
    rng = np.random.default_rng(1)
    quiet = dataclasses.replace(
        variant, tokens=dataclasses.replace(variant.tokens, rise=rng.normal(0, 0.1, len(TEXT)))
    )
    assert compare_texts(quiet, again, STRATA, 0.95)[WHOLE].reading == "screen"


def test_without_a_second_pass_there_is_no_floor_and_nothing_ranks() -> None:
    variant, _ = passes(noise=0.05, shift=0.4)
    found = compare_texts(variant, None, STRATA, 0.95)[WHOLE]
    assert found.floor is None
    assert found.reading == "screen"


def test_every_stratum_is_told_by_itself() -> None:
    found = compared(noise=0.05, shift=0.4)
    assert list(found) == [WHOLE, "prose", "code"]
    assert found["prose"].texts == found["code"].texts == TEXTS // 2
    assert found["prose"].tokens + found["code"].tokens == found[WHOLE].tokens


def test_answers_are_counted_that_are_the_baselines_and_where_half_have_parted() -> None:
    variant, again = passes(noise=0.05, shift=0.4)
    parted = dataclasses.replace(variant, parted=[3, None, 7, 9], answer_text=[0, 1, 2, 3])
    same = dataclasses.replace(again, parted=[None] * 4, answer_text=[0, 1, 2, 3])
    found = compare_texts(parted, same, STRATA, 0.95)
    answers = found[WHOLE].answers
    assert answers is not None
    assert (answers.answers, answers.same.value, answers.parted_at) == (4, 0.25, 8)
    floor = found[WHOLE].floor
    assert floor is not None
    assert floor.same_answers == 1
    prose = found["prose"].answers
    assert prose is not None
    assert (prose.answers, prose.same.value) == (2, 0)
