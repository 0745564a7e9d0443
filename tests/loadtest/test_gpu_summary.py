"""Joules per token are the GPUs' power over the throughput, from the counter alone."""

import pytest

from loadtest.gpu_summary import mean_power_w, summarize_gpus
from loadtest.gpu_window import GpuWindow
from loadtest.intervals import Estimate


def window(seconds: float, energy_j: float | None, **told: object) -> GpuWindow:
    power_w = None if energy_j is None else energy_j / seconds
    given = {"uuid": "GPU-a", "name": "H200", "seconds": seconds, "power_w": power_w, **told}
    return GpuWindow(energy_j=energy_j, **given)


SPEED = Estimate(value=200.0, low=160.0, high=250.0)


def test_joules_per_token_are_watts_over_tokens_per_second() -> None:
    """As measured on an H200: 442 W at one stream of BF16, 203 tokens a second, 2.18 J."""
    found = summarize_gpus([[window(10, 4420)]], Estimate(value=203.0, low=200.0, high=206.0))
    assert found is not None
    per_token = found.joules_per_output_token
    assert per_token is not None
    assert per_token.value == pytest.approx(2.18, abs=0.01)
    assert per_token.bounds is not None
    assert list(per_token.bounds) == pytest.approx([442 / 206, 442 / 200])


def test_rounds_count_by_their_length_and_gpus_add_up() -> None:
    rounds = [[window(10, 4000), window(10, 1000)], [window(30, 3000), window(30, 3000)]]
    assert mean_power_w(rounds) == pytest.approx((5000 + 6000) / 40)


def test_without_energy_there_is_power_and_no_figure_for_a_token() -> None:
    found = summarize_gpus([[window(10, None, power_w=60.0)]], SPEED)
    assert found is not None
    assert (found.power_w, found.joules_per_output_token) == (60, None)


def test_a_round_that_was_not_watched_or_a_gpu_that_is_silent_leaves_no_figure() -> None:
    assert summarize_gpus([], SPEED) is None
    assert summarize_gpus([[window(10, 4000)], []], SPEED) is None
    assert summarize_gpus([[window(10, 4000), window(10, None)]], SPEED) is None


def test_a_speed_without_bounds_gives_a_figure_without_bounds() -> None:
    for speed in (Estimate(value=200.0), Estimate(value=200.0, low=0.0, high=250.0)):
        found = summarize_gpus([[window(10, 4000)]], speed)
        assert found is not None
        assert found.joules_per_output_token == Estimate(value=2.0)
    found = summarize_gpus([[window(10, 4000)]], Estimate(value=0.0))
    assert found is not None
    assert found.joules_per_output_token is None


def test_clocks_are_the_mean_and_the_lowest_and_throttling_the_worst() -> None:
    rounds = [
        [window(10, 1, sm_clock_mhz=1900.0, least_sm_clock_mhz=1800.0, throttled={"a": 0.5})],
        [window(10, 1, sm_clock_mhz=1700.0, least_sm_clock_mhz=1200.0, throttled={"b": 0.1})],
    ]
    found = summarize_gpus(rounds, SPEED)
    assert found is not None
    assert (found.sm_clock_mhz, found.least_sm_clock_mhz) == (1800, 1200)
    assert found.throttled == {"a": 0.5, "b": 0.1}
