import numpy as np
import pytest

from tests.benches.evidence.early_stop import (
    LEGS,
    MACHINES,
    ROUNDS,
    STREAMS,
    Machine,
    false_calls,
    is_ever_called,
)


def test_of_a_thousand_load_tests_of_equals_at_most_one_in_twenty_ever_calls_a_difference() -> None:
    (worst,) = (machine for machine in MACHINES if machine.name == "all of these")
    assert false_calls(worst, STREAMS, 0) <= 0.05


def test_a_difference_is_called_and_so_is_a_machine_that_favours_one_of_two() -> None:
    rng = np.random.default_rng(0)
    assert is_ever_called(rng.normal(0.05, 0.03, ROUNDS))
    # Where the order did not alternate, whoever is second would be called faster.
    favoured = Machine(name="x", parts=(lambda rng: rng.normal(0, 0.03, LEGS),))
    drawn = favoured.log_ratios(rng, 0)
    assert not is_ever_called(drawn)
    assert is_ever_called(drawn + 0.06)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_machine_treats_both_alike(machine: Machine) -> None:
    rng = np.random.default_rng(3)
    means = [float(machine.log_ratios(rng, number).mean()) for number in range(300)]
    assert np.mean(means) == pytest.approx(0, abs=4 * np.std(means) / np.sqrt(300))
    assert np.std(means) > 0
