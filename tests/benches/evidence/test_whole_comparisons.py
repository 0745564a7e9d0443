"""A verdict is called false where it is, and the bench's command runs.

covers: tests/benches/evidence/__main__.py
"""

import numpy as np

from eval.decision.choice import choose
from tests.benches.evidence.whole_comparisons import (
    MARGIN,
    OBJECTIVES,
    WORLDS,
    World,
    draw,
    is_wrong,
)


def world(loss: float, speed: float) -> World:
    return World(name="two", losses=[{}, {"one": loss}], speeds=[1.0, speed])


def test_a_recommendation_that_truly_misses_the_margin_is_wrong() -> None:
    found = choose(draw(world(0.0, 2.0), np.random.default_rng(0)), OBJECTIVES)
    assert found.chosen is not None
    assert found.chosen.name == "v1"
    assert not is_wrong(world(0.0, 2.0), found)
    assert is_wrong(world(MARGIN, 2.0), found)


def test_a_recommendation_that_is_said_to_beat_a_faster_one_is_wrong() -> None:
    found = choose(draw(world(0.0, 2.0), np.random.default_rng(0)), OBJECTIVES)
    assert is_wrong(world(0.0, 0.5), found)


def test_saying_nothing_is_never_wrong() -> None:
    found = choose(draw(world(0.2, 2.0), np.random.default_rng(0)), OBJECTIVES)
    assert found.chosen is None or found.chosen.name == "v0"
    assert not is_wrong(world(0.2, 2.0), found)


def test_the_worlds_are_of_ten_variants() -> None:
    assert {len(it.speeds) for it in WORLDS} == {10}
    assert {len(it.losses) for it in WORLDS} == {10}
