"""When a task has been asked enough, and what looking so often costs the joint error."""

import numpy as np
import pytest

from deploy.plan_sections import Objectives
from eval.anytime_evidence import Tally, evidence_within, p_value
from eval.decision.enough import chance_within, error_of_loss, last_bound, next_bound, stops
from eval.decision.families import half_error, holm
from eval.decision.proofs import task_p_value
from eval.paired import compare_task
from eval.schema import NoSignal, TaskComparison
from eval.task_score import TaskScore
from tests.eval.run_on_disk import answers, documents

OBJECTIVES = Objectives(accuracy_margin=0.03)


def compared(
    lost: int, gained: int, items: int, *, silent: NoSignal | None = None, noise: float = 0.0
) -> TaskComparison:
    """A variant of which so many answers turned wrong and right."""
    theirs = [place >= gained for place in range(items)]
    mine = [place < gained or place < items - lost for place in range(items)]
    score = TaskScore(metric="accuracy", value=0.5, items=items, details={})
    return compare_task(
        answers("t", mine), answers("t", theirs), score, OBJECTIVES, noise, silent, anytime=True
    )


def why(result: TaskComparison, available: int = 1200, variants: int = 6) -> str | None:
    return stops({"t": result}, {"t": available}, OBJECTIVES, variants).get("t")


def test_blocks_end_at_the_same_bounds_whoever_asks() -> None:
    bounds = [0]
    while bounds[-1] < 1000:
        bounds.append(next_bound(bounds[-1]))
    assert bounds[:8] == [0, 50, 100, 150, 200, 250, 312, 390]
    assert all(last_bound(it) == it for it in bounds)
    assert (last_bound(120), next_bound(120)) == (100, 150)


def test_a_task_stops_when_it_is_proven_among_all_that_are_compared() -> None:
    result = compared(0, 0, 200)
    assert result.verdict == "equal_or_better"
    assert why(result, variants=1) == "proven"
    assert why(result, variants=60) is None


def test_a_loss_beyond_the_margin_stops_the_task_and_all_others_of_its_variant() -> None:
    results = {"a": compared(20, 0, 50), "b": compared(0, 0, 50)}
    found = stops(results, {"a": 1200, "b": 1200}, OBJECTIVES, 6)
    assert found == {"a": "worse", "b": "failed_elsewhere"}


def test_a_task_that_stays_undecided_ends_the_others_but_those_that_may_fail_the_variant() -> None:
    near = compared(9, 0, 312)
    results = {"near": near, "good": compared(0, 0, 50), "bad": compared(3, 0, 50)}
    found = stops(results, {"near": 500, "good": 1200, "bad": 1200}, OBJECTIVES, 6)
    assert found == {"near": "hopeless", "good": "open_elsewhere"}
    asked = stops(results, {"near": 312, "good": 1200, "bad": 1200}, OBJECTIVES, 6)
    assert asked == {"near": "all_asked", "good": "open_elsewhere"}
    open_ = stops(results, {"near": 200_000, "good": 1200, "bad": 1200}, OBJECTIVES, 6)
    assert open_ == {}


def test_what_lies_near_the_margin_is_given_up_when_the_rest_would_hardly_tell() -> None:
    near = compared(9, 0, 312)
    assert why(near, available=500) == "hopeless"
    assert why(near, available=200_000) is None


def test_a_task_without_signal_is_asked_to_its_end() -> None:
    silent = NoSignal(kind="at_chance", chance=0.25, baseline=0.26)
    assert why(compared(0, 0, 400, silent=silent)) is None
    assert why(compared(0, 0, 400, silent=silent), available=400) == "all_asked"


def test_noise_of_the_baseline_is_not_charged_to_a_variant() -> None:
    assert why(compared(10, 0, 50)) == "worse"
    assert why(compared(10, 0, 50, noise=0.1)) is None


def test_the_chance_that_is_foretold_is_how_often_the_rest_decides() -> None:
    rng = np.random.default_rng(6)
    early = compared(8, 4, 390)
    error = half_error(0.95) / 6
    told = chance_within(early, 1200, 0.95, error)
    decided = []
    for _ in range(1500):
        # The truth lies about what was seen.
        lost, gained = rng.gamma(8.5) / 390, rng.gamma(4.5) / 390
        more = rng.multinomial(810, [lost, gained, 1 - lost - gained])
        end = Tally(lost=8 + int(more[0]), gained=4 + int(more[1]), items=1200)
        decided.append(p_value(evidence_within(end, 0.03)) <= error)
    assert told == pytest.approx(np.mean(decided), abs=0.1)


def test_the_standard_error_of_answers_that_never_changed_is_not_nothing() -> None:
    assert 0 < error_of_loss(compared(0, 0, 100), 0.95) <= 0.01


def test_nine_variants_at_the_margin_are_seldom_proven_together_whenever_each_stops() -> None:
    rng = np.random.default_rng(7)
    error, wrong, runs = half_error(0.95), 0, 200
    bounds = [50]
    while bounds[-1] < 1200:
        bounds.append(min(1200, next_bound(bounds[-1])))
    for _ in range(runs):
        p_values = {}
        for number in range(9):
            seen = (rng.random(1200) < 0.03).cumsum()
            for bound in bounds:
                tally = Tally(lost=int(seen[bound - 1]), gained=0, items=bound)
                p_values[str(number)] = p_value(evidence_within(tally, 0.03))
                if p_values[str(number)] <= error / 9:
                    break
        wrong += bool(holm(p_values, error))
    assert wrong / runs <= error


def test_what_was_asked_until_it_was_decided_is_proven_by_evidence_that_allows_for_it() -> None:
    result = compared(4, 2, 400)
    expected = p_value(evidence_within(Tally(lost=4, gained=2, items=400), 0.03))
    assert task_p_value(result, 0.95) == pytest.approx(expected)
    assert task_p_value(result.model_copy(update={"anytime": False}), 0.95) < expected
    assert result.flips is not None
    assert result.flips.p_value == 1.0


def test_texts_are_proven_by_the_sums_of_their_losses() -> None:
    rng = np.random.default_rng(8)
    theirs = documents("t", list(rng.normal(100, 5, 60)))
    mine = documents(
        "t", [(it.nll or 0) + more for it, more in zip(theirs, rng.normal(0.5, 1, 60), strict=True)]
    )
    score = TaskScore(metric="nll_per_token", value=1.0, items=60, details={})
    objectives = Objectives(nll_margin=0.05)
    found = compare_task(mine, theirs, score, objectives, 0.0, anytime=True)
    assert found.sums is not None
    assert found.verdict == "equal_or_better"
    assert task_p_value(found, 0.95) < 1e-6
    assert stops({"t": found}, {"t": 150}, objectives, 6) == {"t": "proven"}
    ruined = compare_task(
        documents("t", [(it.nll or 0) + 30 for it in theirs]),
        theirs,
        score,
        objectives,
        0.0,
        anytime=True,
    )
    assert stops({"t": ruined}, {"t": 150}, objectives, 6) == {"t": "worse"}
