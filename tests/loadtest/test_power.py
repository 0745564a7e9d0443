import math

import numpy as np
import pytest

from loadtest.pairing import student_interval
from loadtest.power import detectable_share, power_of, rounds_needed


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


def test_as_many_rounds_as_needed_are_enough_and_one_less_is_not() -> None:
    needed = rounds_needed(0.05, 0.03)
    assert needed is not None
    assert detectable_share(0.03, needed) <= 0.05 < detectable_share(0.03, needed - 1)
    assert rounds_needed(0.0001, 0.5) is None
