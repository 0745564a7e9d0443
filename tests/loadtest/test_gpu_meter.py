"""The meter samples the endpoint's own GPUs while its block lasts, and encloses every window."""

import threading
import time
from collections.abc import Collection

import pytest

from loadtest import gpu_meter, gpu_window
from loadtest.gpu_meter import GpuMeter
from services.gpus.gpu_use import GpuUse

WATTS = 300.0


def gpus(uuids: Collection[str]) -> list[GpuUse]:
    """Two GPUs whose counters follow the clock."""
    now_s = time.monotonic()
    both = [
        GpuUse(index="0", uuid="GPU-a", read_at_s=now_s, energy_joules=WATTS * now_s),
        GpuUse(index="1", uuid="GPU-b", read_at_s=now_s, energy_joules=9 * WATTS * now_s),
    ]
    return [gpu for gpu in both if gpu.uuid in uuids]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_meter, "PERIOD_S", 0.02)
    monkeypatch.setattr(gpu_window, "LEAST_S", 0.1)


def test_only_the_gpus_that_are_named_are_metered_over_just_the_window() -> None:
    with GpuMeter(["GPU-a", "GPU-elsewhere"], gpus) as meter:
        time.sleep(0.1)
        opened = time.monotonic()
        time.sleep(0.2)
        ended = time.monotonic()
    (window,) = meter.windows(opened, ended, ["GPU-a"])
    assert window.uuid == "GPU-a"
    assert window.energy_j == pytest.approx(WATTS * (ended - opened), rel=1e-3)
    assert [w.energy_j for w in meter.windows(meter.began_s, opened, ["GPU-a"])] != [None]


def test_a_window_up_to_the_blocks_last_moment_is_enclosed() -> None:
    with GpuMeter(["GPU-a"], gpus) as meter:
        opened = time.monotonic()
        time.sleep(0.15)
        ended = time.monotonic()
    (window,) = meter.windows(opened, ended, ["GPU-a"])
    assert window.energy_j is not None


def test_without_a_gpu_nothing_is_read_and_no_thread_is_left() -> None:
    def never(_uuids: Collection[str]) -> list[GpuUse]:
        raise AssertionError("nobody is to be asked")

    before = threading.active_count()
    with GpuMeter([], never) as meter:
        meter.wait_idle(60)
        assert threading.active_count() == before
    assert meter.windows(0, 10, ["GPU-a"]) == ()


def test_a_gpu_of_another_machine_is_waited_for_by_nobody() -> None:
    with GpuMeter(["GPU-elsewhere"], gpus) as meter:
        meter.wait_idle(60)
    assert meter.windows(0, 10, ["GPU-a"]) == ()
