"""The items that a task needs, and the chance that they settle it, held against simulation.

covers: eval/decision/next_run.py
"""

import numpy as np
import pytest

from deploy.plan_sections import Objectives, Slo
from eval.decision.choice import choose
from eval.decision.needed_items import (
    Shared,
    chance_to_settle,
    items_to_settle,
    provable_margin,
    told_before,
)
from eval.decision.next_run import next_runs
from eval.decision.proofs import task_p_value
from eval.schema import ComparisonFile
from loadtest.intervals import Estimate
from loadtest.stats import paired_proportion_interval, upper_tail
from tests.eval.decision.test_proofs import task
from tests.eval.report.builders import CPU_DEMO, comparison

ALONE = Shared(confidence=0.95, variants=1)
OBJECTIVES = Objectives(slo=Slo(ttft_s=1.0, tpot_s=0.05), accuracy_margin=0.03)


def test_the_margin_that_is_told_before_a_run_is_proven_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    shared, items = Shared(confidence=0.95, variants=9), 1000
    margin = provable_margin(items, shared)
    limit = upper_tail(shared.z)
    drawn = rng.multinomial(items, [0.05, 0.05, 0.9], 2000)
    proven = [task_p_value(task(int(w), int(r), items, margin), 0.95) <= limit for w, r, _ in drawn]
    assert np.mean(proven) == pytest.approx(0.8, abs=0.04)


def test_the_chance_that_is_named_is_how_often_a_next_run_settles_it() -> None:
    """Over true losses as they lie around what was measured."""
    rng = np.random.default_rng(4)
    measured = paired_proportion_interval(30, 20, 500, 0.95)
    loss = -measured
    error = (loss.high - loss.low) / 3.92  # type: ignore[operator]
    named = chance_to_settle(500, 4000, loss, 0.03, ALONE)
    settled = 0
    for true in rng.normal(loss.value, error, 3000):
        lost, gained = (0.1 + true) / 2, (0.1 - true) / 2
        w, r, _ = rng.multinomial(4000, [lost, gained, 0.9])
        found = -paired_proportion_interval(int(w), int(r), 4000, 0.95)
        assert found.bounds is not None
        settled += found.bounds[1] <= 0.03 or found.bounds[0] > 0.03
    assert named == pytest.approx(settled / 3000, abs=0.03)


def test_more_items_settle_more_surely_and_a_loss_on_the_margin_never() -> None:
    loss = Estimate(value=0.02, low=0.0, high=0.04)
    chances = [chance_to_settle(500, n, loss, 0.03, ALONE) for n in (500, 2000, 50_000)]
    assert chances == sorted(chances)
    assert items_to_settle(500, Estimate(value=0.03, low=0.0, high=0.06), 0.03, ALONE) is None


def test_more_variants_take_more_items() -> None:
    loss = Estimate(value=0.01, low=-0.01, high=0.03)
    few, many = (
        items_to_settle(500, loss, 0.02, Shared(confidence=0.95, variants=n)) for n in (1, 9)
    )
    assert few is not None
    assert many is not None
    assert 1.5 < many / few < 1.8


def test_before_a_run_it_is_told_what_its_items_can_prove() -> None:
    (line,) = told_before({"assay_general_choice": 500}, OBJECTIVES, 6)
    assert line.startswith("assay_general_choice: 500 items prove an accuracy margin of 4.9 points")
    assert line.endswith("6 compared): the plan's 3 take about 1,346 items")
    (line,) = told_before({"assay_general_choice": 5000}, OBJECTIVES, 6)
    assert line.endswith("enough for the plan's 3")
    (line,) = told_before({"t": 9}, OBJECTIVES.model_copy(update={"accuracy_margin": 0.0}), 1)
    assert line.endswith("no number of them proves the plan's 0")


def undecided() -> ComparisonFile:
    return comparison(tuple(s for s in CPU_DEMO if s.name in {"bf16-vllm", "gptq-int4-g128-vllm"}))


def test_where_the_evidence_is_not_enough_it_is_said_what_to_run_and_how_sure_that_settles() -> (
    None
):
    found = undecided()
    timed = [
        v.model_copy(
            update={
                "quality": {t: r.model_copy(update={"seconds": 60.0}) for t, r in v.quality.items()}
            }
        )
        for v in found.variants
    ]
    choice = choose(found, OBJECTIVES)
    assert choice.chosen is None
    lines = next_runs(found, OBJECTIVES, choice.open)
    assert lines[0].startswith("Next: quality.limit: ")
    assert " settles gptq-int4-g128-vllm on " in lines[0]
    assert "minutes" not in lines[0]
    lines = next_runs(found.model_copy(update={"variants": timed}), OBJECTIVES, choice.open)
    assert " minutes of questions) settles" in lines[0]
    assert lines[1].endswith(
        "may not have so many items; then name further tasks in quality.tasks."
    )


def test_nothing_is_proposed_where_nothing_is_open() -> None:
    assert next_runs(comparison(), OBJECTIVES, []) == []
