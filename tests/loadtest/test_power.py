import math

import numpy as np
import pytest

from loadtest.anytime import confidence_sequence
from loadtest.pairing import student_interval
from loadtest.power import detectable_share, power_of


def test_without_a_difference_the_power_is_the_rate_of_false_calls() -> None:
    assert power_of(0.0, 0.03, 8) == pytest.approx(0.05, abs=1e-3)
    assert power_of(0.05, 0.03, 1) == 0


def test_the_power_is_how_often_simulated_rounds_tell_the_difference() -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(loc=math.log1p(0.05), scale=0.04, size=(2000, 8))
    told = np.mean([not student_interval(row).covers(0) for row in rows])
    assert power_of(0.05, 0.04, 8) == pytest.approx(told, abs=0.03)


@pytest.mark.parametrize("rounds", [2, 3, 6, 20])
def test_the_least_difference_is_told_with_just_that_power(rounds: int) -> None:
    share = detectable_share(0.03, rounds)
    assert power_of(share, 0.03, rounds) == pytest.approx(0.8, abs=1e-4)


def test_more_rounds_and_less_noise_see_smaller_differences() -> None:
    assert detectable_share(0.03, 12) < detectable_share(0.03, 6) < detectable_share(0.06, 6)
    assert detectable_share(0.03, 1) == math.inf
    assert detectable_share(0.0, 6) == 0


@pytest.mark.parametrize(("rounds", "share"), [(4, 0.147), (6, 0.07)])
def test_rounds_that_may_be_looked_at_any_time_tell_less_and_as_often_as_simulated_ones(
    rounds: int, share: float
) -> None:
    rng = np.random.default_rng(6)
    rows = rng.normal(loc=math.log1p(share), scale=0.03, size=(2000, rounds))
    told = np.mean([not confidence_sequence(row).covers(0) for row in rows])
    assert power_of(share, 0.03, rounds, anytime=True) == pytest.approx(told, abs=0.03)
    least = detectable_share(0.03, rounds, anytime=True)
    assert power_of(least, 0.03, rounds, anytime=True) == pytest.approx(0.8, abs=1e-4)
    assert least > 1.3 * detectable_share(0.03, rounds)


def test_three_rounds_that_may_be_looked_at_any_time_tell_nothing() -> None:
    assert power_of(9.0, 0.03, 3, anytime=True) == 0
    assert detectable_share(0.03, 3, anytime=True) == math.inf
    assert confidence_sequence([0.1, 0.2, 0.3]).bounds is None
