"""Evidence that is looked at after every block: how often it is wrong, where the truth is known."""

import math

import numpy as np
import pytest
from numpy.random import Generator

from eval.anytime_evidence import (
    Sums,
    Tally,
    changed_at_all,
    changed_by_more,
    evidence_within,
    loss_of_answers,
    loss_per_weight,
    p_value,
    ratio_evidence_within,
    reach,
    share_of_right,
    sums_of,
)
from eval.decision.enough import next_bound
from loadtest.stats import bootstrap_ratio, tango_score, upper_tail

MARGIN, ERROR, CONFIDENCE = 0.03, 0.025, 0.95
RUNS, ITEMS = 500, 1200


def looks() -> list[int]:
    found = [next_bound(0)]
    while found[-1] < ITEMS:
        found.append(min(ITEMS, next_bound(found[-1])))
    return found


def runs(rng: Generator, loss: float, flips: float, count: int = RUNS) -> list[list[Tally]]:
    """What is seen at each look of so many runs, of which so much is true."""
    lost, gained = (flips + loss) / 2, (flips - loss) / 2
    drawn = rng.random((count, ITEMS))
    wrong, right = (drawn < lost).cumsum(1), ((lost <= drawn) & (drawn < lost + gained)).cumsum(1)
    return [
        [Tally(lost=int(w[n - 1]), gained=int(r[n - 1]), items=n) for n in looks()]
        for w, r in zip(wrong, right, strict=True)
    ]


def share(found: list[bool]) -> float:
    return sum(found) / len(found)


@pytest.mark.parametrize("allowed", [0.0, 0.01])
def test_a_change_of_no_more_than_is_allowed_is_seldom_called_at_any_look(allowed: float) -> None:
    drawn = runs(np.random.default_rng(8), allowed, 0.06)
    called = [any(changed_by_more(it, allowed) <= 2 * ERROR for it in run) for run in drawn]
    assert share(called) <= 2 * ERROR
    losses = np.random.default_rng(9).normal(allowed, 0.05, (RUNS, 200))
    ones = np.ones(200)
    called = [
        any(
            changed_by_more(sums_of(it[:n], ones[:n]), allowed) <= 2 * ERROR
            for n in range(20, 201, 20)
        )
        for it in losses
    ]
    assert share(called) <= 2 * ERROR


def test_a_change_that_is_there_is_called_whichever_way_it_goes() -> None:
    worse = Tally(lost=60, gained=5, items=500)
    assert changed_by_more(worse, 0.02) < 1e-6
    assert changed_by_more(worse.turned, 0.02) == changed_by_more(worse, 0.02)
    assert changed_by_more(worse, 0.2) == 1.0
    rising = sums_of(np.full(50, 0.1) + 0.01 * (np.arange(50) % 5), np.ones(50))
    assert changed_by_more(rising, 0.02) < 1e-6
    assert changed_by_more(rising.turned, 0.02) == pytest.approx(changed_by_more(rising, 0.02))


@pytest.mark.parametrize("flips", [MARGIN, 0.04, 0.1])
def test_a_loss_at_the_margin_is_seldom_proven_at_any_look(flips: float) -> None:
    drawn = runs(np.random.default_rng(1), MARGIN, flips)
    proven = [any(p_value(evidence_within(it, MARGIN)) <= ERROR for it in run) for run in drawn]
    fixed = [
        any(upper_tail(tango_score(it.lost, it.gained, it.items, -MARGIN)) <= ERROR for it in run)
        for run in drawn
    ]
    assert share(proven) <= ERROR
    # What an interval for a fixed number of items would do.
    assert share(fixed) > 2 * ERROR


def test_the_bounds_hold_the_truth_at_all_looks_at_once() -> None:
    drawn = runs(np.random.default_rng(2), 0.01, 0.05, 300)
    least = -math.log(ERROR)
    held = [
        all(max(evidence_within(it, 0.01), evidence_within(it.turned, -0.01)) < least for it in run)
        for run in drawn
    ]
    assert share(held) >= CONFIDENCE
    assert all(loss_of_answers(it, CONFIDENCE).covers(0.01) for it in drawn[held.index(True)])


def test_a_ruined_variant_is_seen_within_two_looks_and_a_good_one_before_the_last() -> None:
    rng = np.random.default_rng(3)
    ruined = [run[1] for run in runs(rng, 0.25, 0.29, 100)]
    assert share([p_value(evidence_within(it.turned, -MARGIN)) <= ERROR for it in ruined]) > 0.9
    good = runs(rng, 0.0, 0.01, 100)
    needed = [
        next(it.items for it in run if p_value(evidence_within(it, MARGIN)) <= ERROR / 6)
        for run in good
    ]
    assert np.median(needed) <= 400


def documents(rng: Generator, mean: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    tokens = np.round(rng.lognormal(5, 0.6, count)) + 5
    return tokens * rng.normal(mean, 0.03, count), tokens


def test_a_loss_of_texts_at_the_margin_is_seldom_proven_and_its_bounds_hold() -> None:
    rng = np.random.default_rng(4)
    wrong, held, fixed = [], [], []
    for run in range(RUNS):
        nats, tokens = documents(rng, 0.05, 150)
        seen = [(nats[:count], tokens[:count]) for count in (50, 100, 150)]
        found = [sums_of(*it) for it in seen]
        wrong.append(any(ratio_evidence_within(it, 0.05) >= -math.log(ERROR) for it in found))
        held.append(all(loss_per_weight(it, CONFIDENCE).covers(0.05) for it in found))
        if run < 150:
            bounds = [bootstrap_ratio(*it, CONFIDENCE, resamples=400) for it in seen]
            fixed.append(all(it.covers(0.05) for it in bounds))
    assert share(wrong) <= ERROR
    assert share(held) >= CONFIDENCE
    assert share(fixed) < CONFIDENCE


def test_bounds_and_evidence_say_the_same() -> None:
    tally = Tally(lost=23, gained=17, items=1200)
    bounds = loss_of_answers(tally, CONFIDENCE).bounds
    assert bounds is not None
    assert p_value(evidence_within(tally, bounds[1])) == pytest.approx(ERROR, rel=1e-3)
    assert p_value(evidence_within(tally.turned, -bounds[0])) == pytest.approx(ERROR, rel=1e-3)
    sums = sums_of(*documents(np.random.default_rng(5), 0.02, 80))
    ratio = loss_per_weight(sums, CONFIDENCE)
    assert ratio.bounds is not None
    low, high = ratio.bounds
    assert p_value(ratio_evidence_within(sums, high)) == pytest.approx(ERROR, rel=1e-6)
    turned = Sums(
        items=sums.items,
        loss=-sums.loss,
        weight=sums.weight,
        loss_squared=sums.loss_squared,
        loss_weight=-sums.loss_weight,
        weight_squared=sums.weight_squared,
    )
    assert p_value(ratio_evidence_within(turned, -low)) == pytest.approx(ERROR, rel=1e-6)


def test_evidence_rises_with_the_margin_and_nothing_is_known_of_few_items() -> None:
    tally = Tally(lost=4, gained=2, items=400)
    rising = [evidence_within(tally, margin / 100) for margin in range(-99, 100, 9)]
    assert rising == sorted(rising)
    low, high = loss_of_answers(Tally(lost=0, gained=0, items=1), CONFIDENCE).bounds or (0, 0)
    assert low < -0.95
    assert high > 0.95
    assert loss_per_weight(sums_of([0.1] * 9, [1.0] * 9), CONFIDENCE).bounds is None


def test_equal_losses_of_all_texts_are_known_exactly() -> None:
    found = loss_per_weight(sums_of([0.0] * 40, [3.0] * 40), CONFIDENCE)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_share_has_bounds_within_which_it_lies_and_a_change_a_p_value() -> None:
    found = share_of_right(880, 1000, CONFIDENCE)
    assert found.value == 0.88
    assert found.bounds is not None
    assert 0.82 < found.bounds[0] < 0.88 < found.bounds[1] < 0.92
    assert changed_at_all(Tally(lost=8, gained=8, items=500)) == 1.0
    assert changed_at_all(Tally(lost=60, gained=8, items=500)) < 1e-6


def test_a_bound_reaches_about_as_many_standard_errors_as_is_said() -> None:
    tally = Tally(lost=30, gained=30, items=1500)
    high = loss_of_answers(tally, CONFIDENCE).high
    assert high is not None
    assert high / (math.sqrt(60) / 1500) == pytest.approx(reach(ERROR), rel=0.1)
