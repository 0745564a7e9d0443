"""Answers of two runs: paired, apart, and where either run asked until something was decided."""

from dataclasses import replace

import numpy as np
import pytest

from deploy.plan_sections import Objectives
from eval.paired import compare_task
from eval.samples import Sample
from eval.schema import TaskComparison
from eval.task_score import TaskScore
from eval.two_runs.change_file import Change
from eval.two_runs.quality_figures import flips_p_value, quality_change, same_items
from tests.eval.run_on_disk import BASE, answers, documents, flipped
from tests.eval.two_runs.runs import asked, reworded

CONFIDENCE = 0.95


def result(samples: list[Sample], *, anytime: bool) -> TaskComparison:
    metric = "accuracy" if samples[0].score is not None else "nll_per_token"
    score = TaskScore.model_validate(
        {"metric": metric, "value": 0.5, "items": len(samples), "details": {}}
    )
    return compare_task(samples, None, score, Objectives(), 0.0, anytime=anytime)


def change(now: list[Sample], then: list[Sample], *, early: bool) -> Change:
    """One of the two runs asked until something was decided, where it is ``early``."""
    results = result(now, anytime=early), result(then, anytime=False)
    return quality_change("a", "t", results, (now, then), CONFIDENCE)


def test_items_pair_where_both_runs_asked_the_same_words() -> None:
    now, then = asked()[:5], asked()[2:8]
    assert [pair[0].item for pair in same_items(now, then)] == [2, 3, 4]
    assert same_items(now, reworded(then)) == []


def test_what_is_allowed_is_no_change_that_is_charged() -> None:
    """A truth right at the noise floor is called worse in 5 of 100 runs at most."""
    drawn = np.random.default_rng(0).multinomial(1000, (0.04, 0.02, 0.94), size=1000)
    found = [
        flips_p_value(int(lost), int(gained), 1000, 0.02)
        for lost, gained, _ in drawn
        if lost - gained > 20
    ]
    assert sum(p < 0.05 for p in found) / 1000 <= 0.05
    assert flips_p_value(90, 10, 1000, 0.02) < 0.001


@pytest.mark.parametrize("words", ["the same", "others"])
def test_questions_that_were_ended_by_looking_are_judged_by_wider_intervals(words: str) -> None:
    then = answers("t", BASE)
    now = answers("t", flipped(BASE, 60, 10))
    if words == "others":
        now = reworded(now)
    early, fixed = change(now, then, early=True), change(now, then, early=False)
    assert early.change.value == fixed.change.value
    assert early.change.bounds is not None
    assert fixed.change.bounds is not None
    assert early.change.bounds[0] < fixed.change.bounds[0]
    assert early.change.bounds[1] > fixed.change.bounds[1]
    assert early.p_value is not None
    assert fixed.p_value is not None
    assert early.p_value > fixed.p_value


def test_texts_that_were_ended_by_looking_are_judged_by_evidence_too() -> None:
    nll = [200.0 + 3 * (number % 7) for number in range(60)]
    then = documents("t", nll)
    now = [replace(it, nll=(it.nll or 0) + 5 + it.item % 3) for it in then]
    early, fixed = change(now, then, early=True), change(now, then, early=False)
    assert early.p_value is not None
    assert 0 < early.p_value < 1e-6
    assert change(then, then, early=True).p_value == 1.0
    assert early.change.bounds is not None
    assert fixed.change.bounds is not None
    assert early.change.bounds[0] < fixed.change.bounds[0]


def test_nothing_that_changed_is_seldom_called_at_the_look_that_likes_it_most() -> None:
    """Answers flip as often either way; whoever stops at the worst moment is wrong in 5 of 100."""
    rng = np.random.default_rng(3)
    wrong = {True: 0, False: 0}
    for _ in range(200):
        turns = rng.choice([0, 1, 2], 400, p=[0.9, 0.05, 0.05])
        then = answers("t", [turn != 2 for turn in turns])
        now = answers("t", [turn != 1 for turn in turns])
        for early in wrong:
            found = [
                change(now[:n], then[:n], early=early).p_value or 0.0 for n in range(50, 401, 50)
            ]
            wrong[early] += min(found) < 0.05
    assert wrong[True] <= 10 < wrong[False]
