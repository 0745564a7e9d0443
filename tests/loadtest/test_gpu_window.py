"""The energy of a window is what the counter grew by in exactly that window, or no figure."""

import pytest

from loadtest.gpu_window import LEAST_S, GpuWindow, gpu_windows
from services.gpus.gpu_use import GpuUse


def sample(at_s: float, **told: object) -> GpuUse:
    given = {"index": "0", "uuid": "GPU-a", "name": "H200", "read_at_s": at_s, **told}
    return GpuUse(**given)  # type: ignore[arg-type]


def only(samples: list[GpuUse], start_s: float, end_s: float) -> GpuWindow:
    (window,) = gpu_windows(samples, start_s, end_s)
    return window


# 100 W until second 10, 600 W from then on; a sample every two seconds, off the windows' edges.
STEPPED = [
    sample(at, energy_joules=1000 + 100 * min(at, 10) + 600 * max(0, at - 10), power_watts=1.0)
    for at in range(0, 31, 2)
]


@pytest.mark.parametrize(
    ("start_s", "end_s", "joules"),
    [(0, 10, 1000), (10, 20, 6000), (11, 19, 4800), (5, 15, 500 + 3000), (20, 30, 6000)],
)
def test_the_counters_growth_is_cut_at_the_windows_edges(
    start_s: float, end_s: float, joules: float
) -> None:
    window = only(STEPPED, start_s, end_s)
    assert window.energy_j == pytest.approx(joules)
    assert window.power_w == pytest.approx(joules / (end_s - start_s))
    assert window.seconds == end_s - start_s


@pytest.mark.parametrize("end_s", [10 + LEAST_S - 0.1, 30.5])
def test_a_window_that_is_too_short_or_not_enclosed_has_no_energy(end_s: float) -> None:
    window = only(STEPPED, 10, end_s)
    assert window.energy_j is None
    assert window.power_w == 1.0


def test_a_window_that_began_before_the_first_sample_has_no_energy() -> None:
    assert only(STEPPED[1:], 1, 20).energy_j is None


def test_a_counter_that_was_reset_has_no_energy() -> None:
    reset = [sample(at, energy_joules=1000 - at) for at in range(0, 20, 2)]
    assert only(reset, 1, 10).energy_j is None


def test_a_gpu_without_a_counter_has_the_power_that_it_tells() -> None:
    told = [sample(at, power_watts=60.0 + at) for at in range(10)]
    window = only(told, 2, 8)
    assert (window.energy_j, window.power_w) == (None, 65.0)


def test_clocks_memory_and_what_held_the_clocks_down_are_those_inside() -> None:
    capped, free = frozenset({"power cap"}), frozenset[str]()
    samples = [
        sample(0, sm_clock_hertz=1e9, memory_used_bytes=900, throttled=capped),
        sample(1, sm_clock_hertz=1.9e9, memory_used_bytes=10, throttled=capped),
        sample(2, sm_clock_hertz=1.7e9, memory_used_bytes=30, throttled=free),
        sample(3, sm_clock_hertz=1.8e9, memory_used_bytes=20, throttled=free),
        sample(4, sm_clock_hertz=2e9, memory_used_bytes=900, throttled=capped),
    ]
    window = only(samples, 0.5, 3.5)
    assert window.sm_clock_mhz == pytest.approx(1800)
    assert (window.least_sm_clock_mhz, window.memory_used_bytes) == (1700, 30)
    assert window.throttled == {"power cap": pytest.approx(1 / 3)}


def test_every_gpu_has_its_own_window() -> None:
    samples = [
        sample(at, uuid=uuid, energy_joules=watts * at)
        for at in range(10)
        for uuid, watts in (("GPU-a", 100.0), ("GPU-b", 300.0))
    ]
    found = {window.uuid: window.energy_j for window in gpu_windows(samples, 1, 8)}
    assert found == {"GPU-a": pytest.approx(700), "GPU-b": pytest.approx(2100)}
    assert gpu_windows([], 0, 10) == []
