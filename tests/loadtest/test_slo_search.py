import math

import numpy as np
import pytest

from loadtest.slo_search import (
    TARGET_SHARE,
    Trial,
    highest_rate,
    is_narrow,
    next_rate,
    rate_estimate,
)

SERVICE_S, LIMIT_S = 0.1, 0.4
MOST_TRIALS = 60
REQUESTS = 600


def waits_at_most(rate: float, time_s: float) -> float:
    """P(wait <= t) of M/D/1 (Erlang; Crommelin 1932)."""
    load, total = rate * SERVICE_S, 0.0
    for k in range(int(time_s / SERVICE_S) + 1):
        rest = time_s - k * SERVICE_S
        total += (-rate * rest) ** k / math.factorial(k) * math.exp(rate * rest)
    return (1 - load) * total


def true_rate() -> float:
    low, high = 0.1, 9.9
    for _ in range(60):
        middle = (low + high) / 2
        enough = waits_at_most(middle, LIMIT_S - SERVICE_S) >= TARGET_SHARE
        low, high = (middle, high) if enough else (low, middle)
    return low


def served(rate: float, rng: np.random.Generator) -> Trial:
    """A trial at an M/D/1 server: arrivals at random, each served for the same time, in order."""
    free, met = 0.0, 0
    warm_up = 100
    for number, arrival in enumerate(np.cumsum(rng.exponential(1 / rate, REQUESTS + warm_up))):
        free = max(free, arrival) + SERVICE_S
        met += number >= warm_up and free - arrival <= LIMIT_S
    return Trial(rate=rate, requests=REQUESTS, met=met)


def searched(seed: int) -> list[Trial]:
    rng, trials = np.random.default_rng(seed), list[Trial]()
    while len(trials) < MOST_TRIALS:
        trials.append(served(next_rate(trials, 1.0), rng))
        if len(trials) % 10 == 0 and is_narrow(rate_estimate(trials)):
            break
    return trials


def test_the_knee_of_a_known_queue_is_found_and_the_interval_covers_it() -> None:
    truth = true_rate()
    found = [rate_estimate(searched(seed)) for seed in range(20)]
    values = [it.value for it in found if it is not None]
    assert len(values) == 20
    assert np.median(values) == pytest.approx(truth, rel=0.03)
    assert np.mean(np.abs(np.array(values) / truth - 1)) < 0.03
    assert sum(it is not None and it.covers(truth) for it in found) >= 19


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
