"""What changed is told with the right interval, and called real only where it is.

covers: eval/two_runs/judged.py, eval/two_runs/change_file.py
"""

import numpy as np
import pytest

from eval.two_runs.change_file import Change
from eval.two_runs.figures import (
    independent_difference,
    independent_ratio,
    normal_p_value,
    rounds_p_value,
)
from eval.two_runs.judged import judge_changes
from loadtest.intervals import Estimate
from loadtest.stats import wilson_interval
from tests.eval.two_runs.runs import rounds


def change(value: float, half: float, p_value: float | None, metric: str = "accuracy") -> Change:
    figure = Estimate(value=0.5)
    return Change.model_validate(
        {
            "variant": "a",
            "metric": metric,
            "before": figure,
            "after": figure,
            "change": Estimate(value=value, low=value - half, high=value + half),
            "paired": True,
            "units": 100,
            "allowed": 0.0,
            "margin": 0.03,
            "p_value": p_value,
        }
    )


def test_independent_proportions_have_newcombes_interval() -> None:
    """Newcombe, Statistics in Medicine 17, 1998, method 10: 56/70 and 48/80."""
    found = independent_difference(wilson_interval(56, 70, 0.95), wilson_interval(48, 80, 0.95))
    assert found.value == pytest.approx(0.2)
    assert found.bounds == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_a_ratio_of_independent_figures_is_the_same_seen_from_either_side() -> None:
    one = Estimate(value=2.0, low=1.8, high=2.3)
    other = Estimate(value=1.0, low=0.9, high=1.2)
    found, back = independent_ratio(one, other), independent_ratio(other, one)
    assert found is not None
    assert back is not None
    assert found.bounds is not None
    assert back.bounds == pytest.approx((1 / found.bounds[1], 1 / found.bounds[0]))
    assert independent_ratio(Estimate(value=0.0), other) is None


def test_what_is_allowed_is_taken_off_before_a_change_counts() -> None:
    found = Estimate(value=-0.04, low=-0.06, high=-0.02)
    assert normal_p_value(found, 0.0, 0.95) == pytest.approx(8.9e-5, rel=0.02)
    assert normal_p_value(found, 0.02, 0.95) == pytest.approx(0.05, rel=0.02)
    assert normal_p_value(found, 0.05, 0.95) == 1.0
    assert normal_p_value(Estimate(value=1.0), 0.0, 0.95) is None


def test_the_p_value_of_rounds_is_what_their_interval_leaves_out() -> None:
    before = rounds([100.0, 101.0, 99.0, 100.0, 100.5, 99.5])
    slower = rounds([85.0, 86.0, 84.0, 85.0, 85.5, 84.5])
    alike = rounds([97.0, 98.0, 96.0, 97.0, 97.5, 96.5])
    assert (rounds_p_value(slower, before, 0.05) or 1) < 1e-6
    assert rounds_p_value(alike, before, 0.05) == pytest.approx(1.0)
    assert (rounds_p_value(alike, before, 0.0) or 1) < 1e-3
    assert rounds_p_value(rounds([1.0]), before, 0.05) is None


def test_a_change_is_real_only_among_all_that_are_tested() -> None:
    lone, many = change(-0.04, 0.01, 0.02), change(0.0, 0.01, 0.9)
    assert judge_changes([lone], 0.95)[0].finding == "worse"
    assert judge_changes([lone, *[many] * 9], 0.95)[0].finding == "undecided"


@pytest.mark.parametrize(
    ("metric", "value", "finding"),
    [
        ("accuracy", -0.1, "worse"),
        ("accuracy", 0.1, "better"),
        ("nll_per_token", 0.1, "worse"),
        ("output_tok_per_s", 0.5, "worse"),
        ("output_tok_per_s", 1.5, "better"),
        ("ttft_p50_s", 1.5, "worse"),
        ("tpot_p50_s", 0.5, "better"),
    ],
)
def test_worse_is_the_right_side_of_every_figure(metric: str, value: float, finding: str) -> None:
    assert judge_changes([change(value, 0.01, 1e-9, metric)], 0.95)[0].finding == finding


def test_the_same_must_be_proven_and_what_has_no_test_is_not_judged() -> None:
    found = [change(0.0, 0.01, 0.9), change(0.0, 0.05, 0.9), change(0.0, 0.01, None)]
    assert [it.finding for it in judge_changes(found, 0.95)] == ["same", "undecided", "not_judged"]


def test_the_size_of_weights_needs_no_test_and_weakens_none() -> None:
    sizes = [change(1.2, 0.0, 0.0, "weight_bytes"), change(1.0, 0.0, 1.0, "weight_bytes")]
    found = judge_changes([*sizes, change(-0.04, 0.01, 0.03)], 0.95)
    assert [it.finding for it in found] == ["worse", "same", "worse"]


def test_nothing_changed_is_seldom_called_a_change() -> None:
    """Twelve speeds of two sessions of one engine: at most 5 % of such comparisons cry wolf."""
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(60):
        found = []
        for _ in range(4):
            now, then = (rounds(list(100 * np.exp(rng.normal(0, 0.06, 6)))) for _ in range(2))
            p_value = rounds_p_value(now, then, 0.0)
            found.append(change(1.0, 0.0, p_value, "output_tok_per_s"))
        alarms += any(it.corrected for it in judge_changes(found, 0.95))
    assert alarms <= 7
