import math

import numpy as np
import pytest

from loadtest.anytime import MIXTURE, confidence_sequence, is_decided, log_evidence
from loadtest.intervals import Estimate
from loadtest.pairing import student_interval
from loadtest.stats import Floats

STREAMS, ROUNDS = 1000, 40


def ever_called(noise: Floats) -> float:
    """Of A/A streams ``[streams, rounds]``, the share called different after any round."""
    called = 0
    for row in noise:
        so_far = (confidence_sequence(row[:count]) for count in range(2, len(row) + 1))
        called += any(found.bounds is not None and not found.covers(0) for found in so_far)
    return called / len(noise)


def test_of_a_thousand_streams_without_a_difference_at_most_one_in_twenty_is_ever_called() -> None:
    rng = np.random.default_rng(1)
    scales = rng.uniform(0.001, 0.5, size=(STREAMS, 1))
    assert ever_called(rng.normal(size=(STREAMS, ROUNDS)) * scales) <= 0.05


def test_the_same_peeking_at_a_fixed_interval_calls_far_too_many() -> None:
    rng = np.random.default_rng(1)
    called = 0
    for row in rng.normal(size=(300, ROUNDS)):
        called += any(not student_interval(row[:n]).covers(0) for n in range(2, ROUNDS + 1))
    assert called / 300 > 0.2


@pytest.mark.parametrize("freedom", [3, 5])
def test_rounds_with_heavy_tails_are_not_called_more_often(freedom: int) -> None:
    rng = np.random.default_rng(2)
    assert ever_called(rng.standard_t(freedom, size=(STREAMS, ROUNDS)) * 0.03) <= 0.05


def test_a_difference_is_found_and_the_sooner_the_larger_it_is() -> None:
    rng = np.random.default_rng(3)

    def rounds_until_called(share: float) -> float:
        rows = rng.normal(loc=math.log1p(share), scale=0.02, size=(100, ROUNDS))
        counts = []
        for row in rows:
            called = (n for n in range(2, ROUNDS) if not_covered(row[:n]))
            counts.append(next(called, ROUNDS))
        return float(np.median(counts))

    def not_covered(row: Floats) -> bool:
        found = confidence_sequence(row)
        return found.bounds is not None and not found.covers(0)

    small, large = rounds_until_called(0.03), rounds_until_called(0.1)
    assert large < small < ROUNDS
    assert large <= 6


def test_the_bounds_are_where_the_evidence_refutes_the_mean() -> None:
    values = [0.05, 0.02, 0.04, 0.07, 0.03, 0.05, 0.04]
    found = confidence_sequence(values, 0.95)
    assert found.low is not None
    assert found.high is not None
    for bound in (found.low, found.high):
        assert log_evidence(values, bound) == pytest.approx(math.log(20))
    assert log_evidence(values, (found.low + found.high) / 2) < 0
    assert log_evidence(values, found.high + 0.001) > math.log(20)


def test_the_evidence_begins_with_one_whatever_comes() -> None:
    for first in (-3.0, 0.0, 0.001, 5.0):
        assert log_evidence([first]) == pytest.approx(0)


def test_the_evidence_has_mean_one_where_there_is_no_difference() -> None:
    rng = np.random.default_rng(5)
    found = [math.exp(log_evidence(row)) for row in rng.normal(size=(40_000, 3))]
    assert np.mean(found) == pytest.approx(1, abs=0.15)
    assert MIXTURE > 0


def test_two_values_refute_nothing_and_equal_ones_all_else() -> None:
    assert confidence_sequence([0.1]).bounds is None
    many = confidence_sequence([0.1] * 12)
    assert many.bounds == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize(
    ("found", "decided"),
    [
        (Estimate(value=0.1, low=0.05, high=0.15), True),
        (Estimate(value=0.0, low=-0.02, high=0.03), True),
        (Estimate(value=0.02, low=-0.02, high=0.06), False),
        (Estimate(value=0.1), False),
    ],
)
def test_decided_is_a_difference_or_the_lack_of_one(found: Estimate, decided: bool) -> None:
    assert is_decided(found, 0.05) is decided
