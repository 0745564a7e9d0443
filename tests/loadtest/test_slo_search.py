import math
from dataclasses import replace

import numpy as np
import pytest

from loadtest.slo_search import Trial, highest_rate, is_narrow, next_rate, rate_estimate, searching
from tests.benches.evidence.known_queue import SERVICE_S, simulated_search, true_rate


def trials_at(slope: float, count: int, requests: int = 600) -> list[Trial]:
    """Shares that fall with the rate's logarithm, and pass the target at 10 a second."""
    found = []
    for rate in np.linspace(8.2, 12, count):
        logit = math.log(19) + slope * math.log(rate / 10)
        found.append(
            Trial(rate=rate, requests=requests, met=round(requests / (1 + math.exp(-logit))))
        )
    return found


def test_the_knee_of_a_known_queue_is_found_and_the_interval_covers_it() -> None:
    truth = true_rate(SERVICE_S)
    found = [rate_estimate(simulated_search(number)) for number in range(20)]
    values = np.array([it.value for it in found if it is not None])
    assert len(values) == 20
    assert np.abs(values / truth - 1).max() < 0.04
    assert np.mean(np.abs(values / truth - 1)) < 0.02
    assert sum(it is not None and it.covers(truth) for it in found) >= 19


def test_a_line_through_the_trials_nearby_tells_the_rate_more_surely_than_the_steps_of_a_fit() -> (
    None
):
    found = rate_estimate(trials_at(-7.0, 40))
    assert found is not None
    assert found.value == pytest.approx(10, rel=0.005)
    assert found.covers(10)
    assert found.bounds is not None
    assert found.bounds[1] - found.bounds[0] < 0.5
    # The same with trials that differ by more than their requests would: less is known.
    uneven = [
        replace(it, met=min(it.requests, max(0, it.met + (25 if place % 2 else -25))))
        for place, it in enumerate(trials_at(-7.0, 40))
    ]
    wider = rate_estimate(uneven)
    assert wider is not None
    assert wider.bounds is not None
    assert wider.bounds[1] - wider.bounds[0] > 1.5 * (found.bounds[1] - found.bounds[0])


def test_a_cliff_lies_between_the_last_trial_that_passes_and_the_first_that_does_not() -> None:
    trials = [
        Trial(rate=r, requests=600, met=600 if r < 10 else 60)
        for r in (it / 10 for it in range(80, 120))
    ]
    found = rate_estimate(trials)
    assert found is not None
    assert found.bounds == pytest.approx((9.9, 10.0), abs=0.01)
    assert is_narrow(found)


def test_trials_that_do_not_fall_give_no_bounds() -> None:
    flat = [
        Trial(rate=r, requests=600, met=571 - (place % 3))
        for place, r in enumerate(it / 10 for it in range(80, 120))
    ]
    found = rate_estimate([*flat, Trial(rate=12.5, requests=600, met=500)])
    assert found is None or found.bounds is None or found.bounds[1] - found.bounds[0] > 1


def test_the_search_doubles_halves_and_then_encloses() -> None:
    passed, missed = Trial(rate=4, requests=100, met=100), Trial(rate=8, requests=100, met=10)
    assert next_rate([], 1.5) == 1.5
    assert next_rate([passed], 1.5) == 8
    assert next_rate([missed], 1.5) == 4
    assert next_rate([passed, missed], 1.5) == pytest.approx(math.sqrt(32))


def test_the_rate_lies_between_the_levels_of_the_falling_fit() -> None:
    trials = [Trial(rate=r, requests=100, met=m) for r, m in ((1, 100), (2, 98), (3, 92), (4, 50))]
    assert highest_rate(trials) == pytest.approx(2.5)
    # A share that rises with the rate is noise: both are taken for one level.
    assert highest_rate([*trials, Trial(rate=2, requests=100, met=94)]) is not None


def test_a_rate_that_is_not_enclosed_is_not_told() -> None:
    good = [Trial(rate=float(r), requests=100, met=100) for r in range(1, 12)]
    assert rate_estimate(good) is None
    assert rate_estimate([Trial(rate=1, requests=100, met=10)]) is None
    few = [Trial(rate=1, requests=100, met=100), Trial(rate=2, requests=100, met=0)]
    found = rate_estimate(few)
    assert found is not None
    assert found.bounds is None
    assert not is_narrow(found)


def test_a_search_goes_on_with_its_trials_until_it_is_narrow_or_has_enough() -> None:
    tried: list[tuple[float, int]] = []

    def attempt(rate: float, number: int) -> Trial:
        tried.append((rate, number))
        return Trial(rate=rate, requests=600, met=600 if rate < 10 else 60)

    begun = [Trial(rate=2, requests=600, met=600)]
    assert len(list(searching(begun, 1.0, 3, attempt))) == 2
    assert tried == [(4.0, 1), (8.0, 2)]
    found = list(searching([], 1.0, 60, attempt))
    assert is_narrow(rate_estimate(found))
    assert len(found) < 60


def test_a_search_in_which_nothing_passes_ends_where_a_trial_would_tell_nothing() -> None:
    def attempt(rate: float, _: int) -> Trial:
        return Trial(rate=rate, requests=60, met=0)

    assert [it.rate for it in searching([], 1.0, 60, attempt, 8 / 60)] == [1.0, 0.5, 0.25]
