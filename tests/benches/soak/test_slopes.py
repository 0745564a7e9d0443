import numpy as np
import numpy.typing as npt
import pytest

from loadtest.stats import LEAST_SAMPLES, slope_of
from tests.benches.soak.slopes import growth

HOURS = np.arange(0.15, 1.0, 10 / 3600)


def wandering(seed: int, scale: float = 1.0) -> npt.NDArray[np.float64]:
    """First-order autoregressive noise with a memory of about three minutes."""
    rng = np.random.default_rng(seed)
    noise = np.zeros(len(HOURS))
    for place in range(1, len(HOURS)):
        noise[place] = 0.95 * noise[place - 1] + rng.normal(scale=0.3 * scale)
    return noise


def test_the_slope_of_a_line_is_its_own_whatever_a_few_peaks_do() -> None:
    values = 100 + 20 * HOURS
    values[::9] += 500
    slope = slope_of(HOURS, values)
    assert slope is not None
    assert slope.value == pytest.approx(20, abs=1)


def test_a_steady_growth_beyond_the_limit_is_found_in_wandering_noise() -> None:
    for seed in range(10):
        slope = slope_of(HOURS, 200 + 20 * HOURS + wandering(seed))
        assert growth(slope, 4.0) == "grows"


def test_noise_that_goes_nowhere_is_never_called_growth() -> None:
    for seed in range(20):
        slope = slope_of(HOURS, 200 + wandering(seed))
        assert growth(slope, 4.0) != "grows"
        assert slope is not None
        assert slope.known == sorted(slope.known)


@pytest.mark.parametrize("at", [0.3, 0.5, 0.575, 0.7, 0.9])
def test_one_step_is_no_growth(at: float) -> None:
    values = 200 + 8.0 * (at < HOURS) + wandering(1, 0.2)
    slope = slope_of(HOURS, values)
    assert growth(slope, 4.0) != "grows"


def test_a_staircase_is_growth() -> None:
    slope = slope_of(HOURS, 200 + 2.0 * np.floor(HOURS * 12) + wandering(2, 0.2))
    assert growth(slope, 4.0) == "grows"


def test_a_constant_is_proven_flat_and_a_short_series_tells_nothing() -> None:
    slope = slope_of(HOURS, np.full(len(HOURS), 7.0))
    assert growth(slope, 1.0) == "flat"
    assert slope_of(HOURS[: LEAST_SAMPLES - 1], HOURS[: LEAST_SAMPLES - 1]) is None
