import pytest

from eval.decision.proofs import share_p_value, task_p_value, together
from eval.schema import Flips, TaskComparison
from loadtest.intervals import Estimate
from loadtest.stats import mcnemar_exact, paired_proportion_interval


def task(to_wrong: int, to_right: int, items: int, margin: float) -> TaskComparison:
    return TaskComparison(
        metric="accuracy",
        items=items,
        score=Estimate(value=0.7),
        difference=paired_proportion_interval(to_wrong, to_right, items, 0.95),
        noise_floor=None,
        flips=Flips(
            to_wrong=to_wrong, to_right=to_right, p_value=mcnemar_exact(to_wrong, to_right)
        ),
        margin=margin,
        verdict="equal_or_better",
        significant=False,
    )


@pytest.mark.parametrize(("to_wrong", "to_right"), [(0, 0), (5, 3), (40, 35), (60, 20)])
@pytest.mark.parametrize("items", [20, 200, 1000])
@pytest.mark.parametrize("margin", [0.01, 0.03, 0.08])
def test_a_p_value_is_small_exactly_where_the_interval_lies_within_the_margin(
    to_wrong: int, to_right: int, items: int, margin: float
) -> None:
    if to_wrong + to_right > items:
        return
    result = task(to_wrong, to_right, items, margin)
    assert result.difference is not None
    assert result.difference.low is not None
    proven = result.difference.low >= -margin
    assert (task_p_value(result, 0.95) <= 0.025) == proven


def test_few_equal_answers_prove_little_and_many_much() -> None:
    assert task_p_value(task(0, 0, 20, 0.03), 0.95) > 0.2
    assert task_p_value(task(0, 0, 2000, 0.03), 0.95) < 1e-9


@pytest.mark.parametrize(("high", "expected"), [(0.05, 0.025), (0.04, 0.0045), (0.06, 0.058)])
def test_without_flips_the_intervals_upper_half_tells_the_spread(
    high: float, expected: float
) -> None:
    loss = Estimate(value=0.01, low=-0.5, high=high)
    result = task(0, 0, 50, 0.05).model_copy(
        update={"metric": "nll_per_token", "difference": loss, "flips": None}
    )
    assert task_p_value(result, 0.95) == pytest.approx(expected, rel=0.05)


def test_without_an_interval_nothing_is_known_and_the_baseline_loses_nothing_to_itself() -> None:
    result = task(0, 0, 50, 0.05).model_copy(
        update={"difference": Estimate(value=-9.0), "flips": None}
    )
    assert task_p_value(result, 0.95) == 1.0
    assert task_p_value(result.model_copy(update={"difference": None}), 0.95) == 0.0


def test_a_share_is_proven_where_its_lower_bound_lies_above_what_is_wanted() -> None:
    assert share_p_value(Estimate(value=0.99, low=0.95, high=1.0), 0.95, 0.95) == pytest.approx(
        0.025
    )
    assert share_p_value(Estimate(value=0.99, low=0.94, high=1.0), 0.95, 0.95) > 0.025
    assert share_p_value(Estimate(value=0.9, low=0.9, high=0.9), 0.95, 0.95) == 1.0
    assert share_p_value(Estimate(value=1.0, low=1.0, high=1.0), 0.95, 0.95) == 0.0


def test_all_objectives_are_as_sure_as_the_least_sure() -> None:
    assert together([0.001, 0.02, 0.0]) == 0.02
    assert together([]) == 0.0
