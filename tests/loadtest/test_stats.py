"""Intervals and tests against published values and against their own definitions.

covers: loadtest/intervals.py
"""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats as scipy_stats

from loadtest.intervals import Estimate
from loadtest.stats import (
    bootstrap_ratio,
    mcnemar_exact,
    paired_proportion_interval,
    wilson_interval,
)
from quantize.root import ROOT


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_the_published_one(
    successes: int, trials: int, low: float, high: float
) -> None:
    # Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
    found = wilson_interval(successes, trials, 0.95)
    assert found.value == successes / trials
    assert found.bounds == pytest.approx((low, high), abs=5e-5)


def test_a_share_without_a_miss_ends_at_one() -> None:
    assert wilson_interval(12, 12, 0.8).high == 1.0


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
    assert interval.value == 0.0
    assert interval.bounds == pytest.approx((-bound, bound), abs=1e-8)


def test_the_score_interval_turns_around_with_the_flips() -> None:
    one, other = (paired_proportion_interval(a, b, 120, 0.95) for a, b in ((4, 13), (13, 4)))
    assert one.value == -other.value == pytest.approx(9 / 120)
    assert one.bounds == pytest.approx((-other).bounds, abs=1e-8)


@pytest.mark.parametrize("to_wrong", range(10, 31))
def test_the_score_interval_excludes_zero_exactly_when_the_score_test_rejects(
    to_wrong: int,
) -> None:
    # At difference 0 Tango's statistic is McNemar's: (b - c) / sqrt(b + c).
    statistic = (to_wrong - 10) / math.sqrt(to_wrong + 10)
    interval = paired_proportion_interval(to_wrong, 10, 500, 0.95)
    assert (not interval.covers(0)) == (statistic > scipy_stats.norm.ppf(0.975))


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
    ends = [-1.0, *interval.known, 1.0]
    assert ends == sorted(ends)


def test_the_score_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    lost, gained, items = 0.06, 0.03, 300
    flips = rng.multinomial(items, [lost, gained, 1 - lost - gained], size=1500)
    covered = 0
    for to_wrong, to_right, _ in flips:
        interval = paired_proportion_interval(int(to_wrong), int(to_right), items, 0.95)
        covered += interval.covers(gained - lost)
    assert covered / len(flips) == pytest.approx(0.95, abs=0.02)


def test_the_interval_of_a_mean_is_students_where_units_are_normal() -> None:
    values = np.random.default_rng(3).normal(0.2, 1.0, 80)
    ours = bootstrap_ratio(values, np.ones(80), 0.95, resamples=20_000)
    theirs = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)
    assert ours.low <= theirs.low + 1e-9
    assert ours.high >= theirs.high - 1e-9


def test_the_interval_of_lopsided_units_reaches_further_to_their_side() -> None:
    values = np.random.default_rng(3).exponential(1.0, 30)
    found = bootstrap_ratio(values, np.ones(30), 0.95)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.value > 1.2 * (found.value - found.low)


def test_a_few_units_that_differ_bound_the_mean_on_both_sides() -> None:
    few = np.zeros(240)
    few[:3] = -1.0
    found = bootstrap_ratio(few, np.ones(240), 0.95)
    assert found.low is not None
    assert -0.06 < found.low < -0.02
    assert found.covers(0)


def test_the_bootstrap_of_a_ratio_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for seed in range(400):
        tokens = rng.integers(50, 400, 60).astype(float)
        nll = tokens * rng.normal(0.02, 0.05, 60)
        interval = bootstrap_ratio(nll, tokens, 0.9, seed=seed, resamples=600)
        covered += interval.covers(0.02)
    assert covered / 400 == pytest.approx(0.9, abs=0.045)


def test_the_bootstrap_weighs_documents_by_their_tokens() -> None:
    nll, tokens = np.array([1.0] * 10 + [30.0] * 10), np.array([1.0] * 10 + [10.0] * 10)
    interval = bootstrap_ratio(nll, tokens, 0.95)
    assert interval.value == pytest.approx(310 / 110)


def test_the_bootstrap_repeats_itself_with_its_seed_and_differs_with_another() -> None:
    values = np.random.default_rng(0).exponential(size=50)
    first, again, other = (bootstrap_ratio(values, np.ones(50), 0.95, seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_the_bootstrap_gives_no_interval_from_a_handful_of_units() -> None:
    assert bootstrap_ratio(np.arange(9.0), np.ones(9), 0.95) == Estimate(value=4.0)


def test_equal_units_leave_a_bootstrap_interval_of_no_width() -> None:
    interval = bootstrap_ratio(np.full(40, 2.5), np.ones(40), 0.95)
    assert interval == Estimate(value=2.5, low=2.5, high=2.5)


def test_the_load_generators_process_does_not_wait_for_scipy() -> None:
    code = "import sys, loadtest.locustfile; print([m for m in sys.modules if m == 'scipy'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
