import numpy as np
import pytest

from loadtest.clustered import share_estimate, tail_estimate
from loadtest.intervals import Estimate
from loadtest.stats import CONFIDENCE, wilson_interval

ROUNDS, BLOCKS, STREAMS = 6, 16, 4
OF_ROUND = np.repeat(np.arange(ROUNDS), BLOCKS)


def width(found: Estimate) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def hits_of(rng: np.random.Generator, together: bool) -> np.ndarray:
    """How many of each block's requests count: all or none where they succeed together."""
    if together:
        return STREAMS * rng.binomial(1, 0.8, ROUNDS * BLOCKS)
    return rng.binomial(STREAMS, 0.8, ROUNDS * BLOCKS)


def test_requests_that_succeed_together_tell_less_of_a_share() -> None:
    sizes = np.full(ROUNDS * BLOCKS, STREAMS)
    apart, together = (
        share_estimate(hits_of(np.random.default_rng(0), kind), sizes, OF_ROUND)
        for kind in (False, True)
    )
    assert width(together) > 1.5 * width(apart)


def test_where_all_succeed_the_share_is_that_of_independent_requests() -> None:
    sizes = np.full(12, STREAMS)
    found = share_estimate(sizes, sizes, np.zeros(12, int))
    assert found == wilson_interval(48, 48, CONFIDENCE)


def test_the_interval_of_a_percentile_holds_it_and_widens_with_blocks_that_move_together() -> None:
    rng = np.random.default_rng(1)
    loose = rng.normal(0, 0.1, (ROUNDS * BLOCKS, STREAMS))
    tight = np.repeat(rng.normal(0, 0.1, (ROUNDS * BLOCKS, 1)), STREAMS, axis=1)
    widths = []
    for values in (loose, tight):
        value = float(np.quantile(values, 0.9, method="inverted_cdf"))
        found = tail_estimate(value, list(values), OF_ROUND, 0.9)
        assert found.covers(value)
        widths.append(width(found))
    assert widths[1] > widths[0]


def test_no_bounds_are_told_where_nothing_lies_beyond_the_upper_one() -> None:
    values = np.linspace(1, 2, 8).reshape(4, 2)
    found = tail_estimate(1.9, list(values), np.arange(4), 0.9)
    assert found.value == pytest.approx(1.9)
    assert found.bounds is None


def test_failed_requests_bound_a_percentile_by_infinity() -> None:
    values = np.concatenate([np.linspace(1, 2, 360), np.full(24, np.inf)]).reshape(-1, STREAMS)
    value = float(np.sort(values.ravel())[int(0.9 * values.size)])
    found = tail_estimate(value, list(np.random.default_rng(0).permutation(values)), OF_ROUND, 0.9)
    assert found.high == np.inf
