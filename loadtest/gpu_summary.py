"""What the GPUs of an endpoint used at a load point, over all rounds. Pure."""

from collections.abc import Sequence

from loadtest.gpu_window import GpuWindow
from loadtest.intervals import Estimate
from loadtest.load_file import GpuLoad

Round = Sequence[GpuWindow]
"""The windows of all GPUs of an endpoint in one round."""


def summarize_gpus(rounds: Sequence[Round], output_tok_per_s: Estimate) -> GpuLoad | None:
    """None where no GPU was watched, or one does not tell its power.

    Joules per output token are watts over output tokens per second: both are rates of the same
    window, in which requests begin and end that reach beyond it. Energy comes from the hardware's
    counter alone; where it has none there is no figure for a token.
    """
    power_w, windows = mean_power_w(rounds), [window for each in rounds for window in each]
    if power_w is None:
        return None
    metered = all(window.energy_j is not None for window in windows)
    clocks = [w.sm_clock_mhz for w in windows if w.sm_clock_mhz is not None]
    lowest = [w.least_sm_clock_mhz for w in windows if w.least_sm_clock_mhz is not None]
    return GpuLoad(
        power_w=power_w,
        joules_per_output_token=_per_token(power_w, output_tok_per_s) if metered else None,
        sm_clock_mhz=sum(clocks) / len(clocks) if clocks else None,
        least_sm_clock_mhz=min(lowest, default=None),
        throttled=_most(windows),
    )


def mean_power_w(rounds: Sequence[Round]) -> float | None:
    """What all GPUs draw together, each round by its length; None where one does not tell."""
    if not rounds or any(not each for each in rounds):
        return None
    joules = seconds = 0.0
    for each in rounds:
        powers = [window.power_w for window in each if window.power_w is not None]
        if len(powers) < len(each):
            return None
        joules += sum(powers) * each[0].seconds
        seconds += each[0].seconds
    return joules / seconds if seconds > 0 else None


def _per_token(power_w: float, speed: Estimate) -> Estimate | None:
    """The slower, the more; the interval is that of the speed."""
    if speed.value <= 0:
        return None
    low, high = (
        None if bound is None or bound <= 0 else power_w / bound
        for bound in (speed.high, speed.low)
    )
    known = low is not None and high is not None
    return Estimate(
        value=power_w / speed.value, low=low if known else None, high=high if known else None
    )


def _most(windows: Sequence[GpuWindow]) -> dict[str, float]:
    reasons = sorted({reason for window in windows for reason in window.throttled})
    return {
        reason: max(window.throttled.get(reason, 0.0) for window in windows) for reason in reasons
    }
