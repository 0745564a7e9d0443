import numpy as np
import pytest

from loadtest.rate_search import REQUESTS
from tests.benches.evidence.known_queue import (
    LIMIT_TIMES,
    SERVICE_S,
    found_by,
    simulated_trial,
    true_rate,
    waits_at_most,
)


def test_the_waits_of_the_queue_are_those_of_the_formula() -> None:
    rng, service_s, rate = np.random.default_rng(1), 1.0, 0.6
    arrivals = np.cumsum(rng.exponential(1 / rate, 200_000))
    places = np.arange(len(arrivals))
    ends = (places + 1) * service_s + np.maximum.accumulate(arrivals - places * service_s)
    waits = ends - arrivals - service_s
    for at_most_s in (0.0, 0.5, 2.5, 3.0):
        share = float(np.mean(waits <= at_most_s + 1e-9))
        assert waits_at_most(rate, at_most_s, service_s) == pytest.approx(share, abs=0.01)


def test_the_true_rate_is_where_just_enough_are_in_time_and_scales_with_the_service() -> None:
    rate = true_rate(SERVICE_S)
    assert waits_at_most(rate, (LIMIT_TIMES - 1) * SERVICE_S, SERVICE_S) == pytest.approx(0.95)
    assert true_rate(0.1) == pytest.approx(rate / 10)


def test_a_simulated_trial_has_as_many_requests_as_a_real_one_and_meets_as_many_as_the_queue() -> (
    None
):
    trials = [simulated_trial(3, true_rate(SERVICE_S), number) for number in range(30)]
    assert all(it.requests == pytest.approx(REQUESTS, rel=0.15) for it in trials)
    met = sum(it.met for it in trials) / sum(it.requests for it in trials)
    assert met == pytest.approx(0.95, abs=0.015)
    assert found_by([]).value == float("inf")
