import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from eval.stats import (
    Interval,
    bootstrap_ratio,
    decide_non_inferiority,
    items_needed,
    mcnemar_exact,
    paired_proportion_interval,
    wilson_interval,
)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (812, 1000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_interval_agrees_with_scipy(successes: int, trials: int, confidence: float) -> None:
    ours = wilson_interval(successes, trials, confidence)
    theirs = scipy_stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert ours.value == successes / trials
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)


def test_mcnemar_counts_every_outcome_at_least_as_unlikely() -> None:
    # 3 against 9 of 12: 2 * sum of C(12, 0..3) / 2^12.
    assert mcnemar_exact(9, 3) == pytest.approx(2 * (1 + 12 + 66 + 220) / 4096)


def test_mcnemar_is_symmetric_and_one_without_changes() -> None:
    assert mcnemar_exact(4, 17) == mcnemar_exact(17, 4)
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(5, 5) == pytest.approx(1.0)


@pytest.mark.parametrize("items", [5, 20, 1000])
def test_equal_answers_leave_an_interval_that_shrinks_with_the_items(items: int) -> None:
    z = scipy_stats.norm.ppf(0.975)
    interval = paired_proportion_interval(0, 0, items, 0.95)
    bound = z * z / (items + z * z)
    assert interval == Interval(value=0.0, low=interval.low, high=interval.high)
    assert interval.high == pytest.approx(bound, abs=1e-8)
    assert interval.low == pytest.approx(-bound, abs=1e-8)


def test_the_score_interval_turns_around_with_the_flips() -> None:
    one, other = (paired_proportion_interval(a, b, 120, 0.95) for a, b in ((4, 13), (13, 4)))
    assert one.value == -other.value == pytest.approx(9 / 120)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-8)


@pytest.mark.parametrize("to_wrong", range(10, 31))
def test_the_score_interval_excludes_zero_exactly_when_the_score_test_rejects(
    to_wrong: int,
) -> None:
    # At difference 0 Tango's statistic is McNemar's: (b - c) / sqrt(b + c).
    statistic = (to_wrong - 10) / math.sqrt(to_wrong + 10)
    interval = paired_proportion_interval(to_wrong, 10, 500, 0.95)
    assert (interval.high < 0) == (statistic > scipy_stats.norm.ppf(0.975))


def test_the_score_interval_agrees_with_the_wald_interval_in_large_samples() -> None:
    lost, gained, items = 900, 600, 100_000
    interval = paired_proportion_interval(lost, gained, items, 0.95)
    difference = (gained - lost) / items
    half = 1.959964 * math.sqrt((lost + gained) / items - difference**2) / math.sqrt(items)
    assert interval.low == pytest.approx(difference - half, abs=2e-5)
    assert interval.high == pytest.approx(difference + half, abs=2e-5)


@pytest.mark.parametrize(("to_wrong", "to_right", "items"), [(20, 0, 20), (0, 7, 7), (3, 0, 4)])
def test_the_score_interval_stays_within_minus_one_and_one(
    to_wrong: int, to_right: int, items: int
) -> None:
    interval = paired_proportion_interval(to_wrong, to_right, items, 0.95)
    assert -1 <= interval.low <= interval.value <= interval.high <= 1


def test_the_score_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    lost, gained, items = 0.06, 0.03, 300
    flips = rng.multinomial(items, [lost, gained, 1 - lost - gained], size=1500)
    covered = 0
    for to_wrong, to_right, _ in flips:
        interval = paired_proportion_interval(int(to_wrong), int(to_right), items, 0.95)
        covered += interval.low <= gained - lost <= interval.high
    assert covered / len(flips) == pytest.approx(0.95, abs=0.02)


def test_the_bootstrap_of_a_mean_agrees_with_scipy() -> None:
    differences = np.random.default_rng(3).exponential(1.0, 80) - 0.8
    ours = bootstrap_ratio(differences, np.ones(80), 0.95, resamples=20_000)
    theirs = scipy_stats.bootstrap(
        (differences,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours is not None
    assert ours.value == pytest.approx(differences.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.015)
    assert ours.high == pytest.approx(theirs.high, abs=0.015)


def test_the_bootstrap_of_a_ratio_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for seed in range(400):
        tokens = rng.integers(50, 400, 60).astype(float)
        nll = tokens * rng.normal(0.02, 0.05, 60)
        interval = bootstrap_ratio(nll, tokens, 0.9, seed=seed, resamples=600)
        assert interval is not None
        covered += interval.low <= 0.02 <= interval.high
    assert covered / 400 == pytest.approx(0.9, abs=0.045)


def test_the_bootstrap_weighs_documents_by_their_tokens() -> None:
    nll, tokens = np.array([1.0] * 10 + [30.0] * 10), np.array([1.0] * 10 + [10.0] * 10)
    interval = bootstrap_ratio(nll, tokens, 0.95)
    assert interval is not None
    assert interval.value == pytest.approx(310 / 110)


def test_the_bootstrap_repeats_itself_with_its_seed_and_differs_with_another() -> None:
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (bootstrap_ratio(values, np.ones(50), 0.95, seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_the_bootstrap_gives_no_interval_from_a_handful_of_units() -> None:
    assert bootstrap_ratio(np.arange(9.0), np.ones(9), 0.95) is None


def test_equal_units_leave_a_bootstrap_interval_of_no_width() -> None:
    interval = bootstrap_ratio(np.full(40, 2.5), np.ones(40), 0.95)
    assert interval == Interval(value=2.5, low=2.5, high=2.5)


@pytest.mark.parametrize(
    ("low", "high", "noise_floor", "decision"),
    [
        (-0.02, 0.03, 0.0, "equal_or_better"),
        (-0.02, 0.031, 0.0, "undecided"),
        (0.029, 0.06, 0.0, "undecided"),
        (0.031, 0.06, 0.0, "worse"),
        (0.031, 0.06, 0.01, "undecided"),
        (-0.02, 0.031, 0.01, "undecided"),
    ],
)
def test_a_bound_decides_and_noise_excuses_but_never_proves(
    low: float, high: float, noise_floor: float, decision: str
) -> None:
    loss = Interval(value=(low + high) / 2, low=low, high=high)
    assert decide_non_inferiority(loss, 0.03, noise_floor=noise_floor) == decision


def test_the_items_needed_prove_the_margin_with_the_power_that_was_asked_for() -> None:
    rng = np.random.default_rng(5)
    lost, gained, margin = 0.05, 0.04, 0.03
    pilot = paired_proportion_interval(50, 40, 1000, 0.95)
    loss = Interval(value=-pilot.value, low=-pilot.high, high=-pilot.low)
    items = items_needed(1000, loss, margin, 0.95)
    assert items is not None
    proved = 0
    for to_wrong, to_right, _ in rng.multinomial(items, [lost, gained, 1 - lost - gained], 600):
        interval = paired_proportion_interval(int(to_wrong), int(to_right), items, 0.95)
        proved += -interval.low <= margin
    assert proved / 600 == pytest.approx(0.8, abs=0.05)


def test_no_number_of_items_proves_a_loss_beyond_the_margin() -> None:
    assert items_needed(100, Interval(value=0.04, low=-0.1, high=0.2), 0.03, 0.95) is None
