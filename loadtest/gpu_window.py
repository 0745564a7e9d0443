"""What GPUs did in a window of time, from samples of their counters. Pure.

The energy is that of the hardware's own counter (NVML ``nvmlDeviceGetTotalEnergyConsumption``). It
moves in steps of 100 ms (measured on an H200), so between two samples it is taken to grow evenly,
and a window of less than ``LEAST_S`` has no energy: a step would be more than 2 % of it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from services.gpus.gpu_use import GpuUse

LEAST_S = 5.0


class GpuWindow(BaseModel):
    """One GPU in a window: what it used, and how its clocks stood.

    ``energy_j`` is None where it does not tell or the window is too short. ``power_w`` is energy
    over time, where there is none the mean of what it said it drew. ``throttled`` is the share of
    samples (0 to 1) in which its clocks were held down, by reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    uuid: str
    name: str
    seconds: float
    energy_j: float | None = None
    power_w: float | None = None
    sm_clock_mhz: float | None = None
    least_sm_clock_mhz: float | None = None
    memory_used_bytes: int | None = None
    throttled: dict[str, float] = {}


def gpu_windows(samples: Sequence[GpuUse], start_s: float, end_s: float) -> list[GpuWindow]:
    """Every GPU in a window, in seconds of the monotonic clock that all processes share.

    ``samples`` are in the order of time.
    """
    by_gpu: dict[str, list[GpuUse]] = {}
    for sample in samples:
        by_gpu.setdefault(sample.uuid, []).append(sample)
    return [_window(mine, start_s, end_s) for mine in by_gpu.values()]


def _window(samples: Sequence[GpuUse], start_s: float, end_s: float) -> GpuWindow:
    seconds = end_s - start_s
    inside = [gpu for gpu in samples if start_s <= gpu.read_at_s <= end_s]
    energy = _energy_j(samples, start_s, end_s) if seconds >= LEAST_S else None
    powers = [gpu.power_watts for gpu in inside if gpu.power_watts is not None]
    clocks = [gpu.sm_clock_hertz / 1e6 for gpu in inside if gpu.sm_clock_hertz is not None]
    used = [gpu.memory_used_bytes for gpu in inside if gpu.memory_used_bytes is not None]
    drawn = fmean(powers) if powers else None
    return GpuWindow(
        uuid=samples[0].uuid,
        name=samples[0].name,
        seconds=seconds,
        energy_j=energy,
        power_w=drawn if energy is None else energy / seconds,
        sm_clock_mhz=fmean(clocks) if clocks else None,
        least_sm_clock_mhz=min(clocks, default=None),
        memory_used_bytes=max(used, default=None),
        throttled=_shares(inside),
    )


def _energy_j(samples: Sequence[GpuUse], start_s: float, end_s: float) -> float | None:
    """The counter's growth over the window; None where the samples do not enclose it."""
    known = [(s.read_at_s, s.energy_joules) for s in samples if s.energy_joules is not None]
    first, last = (_at(known, moment) for moment in (start_s, end_s))
    return None if first is None or last is None or last < first else last - first


def _at(counted: Sequence[tuple[float, float]], moment_s: float) -> float | None:
    """The counter at a moment, between the samples before and after it."""
    after = bisect_left(counted, moment_s, key=lambda entry: entry[0])
    if after == len(counted) or (after == 0 and counted[0][0] > moment_s):
        return None
    (before_s, before), (after_s, value) = counted[max(0, after - 1)], counted[after]
    span_s = after_s - before_s
    return value if span_s <= 0 else before + (value - before) * (moment_s - before_s) / span_s


def _shares(gpus: Sequence[GpuUse]) -> dict[str, float]:
    reasons = Counter(reason for gpu in gpus for reason in gpu.throttled or ())
    return {reason: count / len(gpus) for reason, count in sorted(reasons.items())}
