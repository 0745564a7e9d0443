"""Theory's order of recipes, held against paired differences."""

from collections.abc import Sequence

import pytest

from eval.samples import Sample
from quantize.recipes.catalogue import RECIPES
from tests.benches.recipes.ladders import STEPS, climb

BETTER, WORSE = "rtn-int4-g32", "rtn-int4-g128"


def documents(nll: Sequence[float], prompt: str = "p") -> list[Sample]:
    """One perplexity document of 100 tokens per value (nats per document)."""
    return [
        Sample(
            task="assay_text",
            item=item,
            prompt_sha256=f"{prompt}{item}",
            correct=None,
            score=None,
            nll=value,
            tokens=100,
            bytes=400,
            answer=None,
            target=None,
        )
        for item, value in enumerate(nll)
    ]


BASE = [60.0 + item % 7 for item in range(40)]


def test_every_step_names_recipes_that_exist() -> None:
    named = {name for step in STEPS for name in (step.better, step.worse)}
    assert named <= RECIPES.keys()


def test_a_gap_in_theorys_direction_is_shown() -> None:
    worse = documents([value + 2 + item % 3 for item, value in enumerate(BASE)])
    (finding,) = climb({BETTER: documents(BASE), WORSE: worse})
    assert finding.met
    assert finding.shown
    assert finding.interval.value == pytest.approx(-0.03, abs=0.001)


def test_a_gap_against_theory_is_a_contradiction() -> None:
    better = documents([value + 2 + item % 3 for item, value in enumerate(BASE)])
    (finding,) = climb({BETTER: better, WORSE: documents(BASE)})
    assert not finding.met


def test_noise_around_zero_neither_shows_nor_contradicts() -> None:
    worse = documents([value + (-1) ** item for item, value in enumerate(BASE)])
    (finding,) = climb({BETTER: documents(BASE), WORSE: worse})
    assert finding.met
    assert not finding.shown


def test_recipes_that_read_different_texts_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different questions"):
        climb({BETTER: documents(BASE), WORSE: documents(BASE, prompt="q")})
