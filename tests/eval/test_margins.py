import numpy as np
import pytest

from eval.margins import decide_non_inferiority, items_needed
from loadtest.intervals import Estimate
from loadtest.stats import paired_proportion_interval


@pytest.mark.parametrize(
    ("low", "high", "noise_floor", "decision"),
    [
        (-0.02, 0.03, 0.0, "equal_or_better"),
        (-0.02, 0.031, 0.0, "undecided"),
        (0.029, 0.06, 0.0, "undecided"),
        (0.031, 0.06, 0.0, "worse"),
        (0.031, 0.06, 0.01, "undecided"),
        (-0.02, 0.031, 0.01, "undecided"),
    ],
)
def test_a_bound_decides_and_noise_excuses_but_never_proves(
    low: float, high: float, noise_floor: float, decision: str
) -> None:
    loss = Estimate(value=(low + high) / 2, low=low, high=high)
    assert decide_non_inferiority(loss, 0.03, noise_floor=noise_floor) == decision


def test_the_items_needed_prove_the_margin_with_the_power_that_was_asked_for() -> None:
    rng = np.random.default_rng(5)
    lost, gained, margin = 0.05, 0.04, 0.03
    pilot = paired_proportion_interval(50, 40, 1000, 0.95)
    items = items_needed(1000, -pilot, margin, 0.95)
    assert items is not None
    proved = 0
    for to_wrong, to_right, _ in rng.multinomial(items, [lost, gained, 1 - lost - gained], 600):
        interval = paired_proportion_interval(int(to_wrong), int(to_right), items, 0.95)
        proved += decide_non_inferiority(-interval, margin) == "equal_or_better"
    assert proved / 600 == pytest.approx(0.8, abs=0.05)


def test_no_number_of_items_proves_a_loss_beyond_the_margin() -> None:
    assert items_needed(100, Estimate(value=0.04, low=-0.1, high=0.2), 0.03, 0.95) is None


def test_a_loss_without_an_interval_proves_nothing() -> None:
    assert decide_non_inferiority(Estimate(value=-9.0), 0.03) == "undecided"
