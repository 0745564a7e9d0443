import math
import re

import pytest

from loadtest.stopping import all_decided, budget_words, noise_of
from tests.loadtest.examples import a_plan

CLOSE = (0.001, -0.002, 0.002, -0.001, 0.001, 0.0, -0.001, 0.002)


def test_the_budget_says_what_it_can_see_and_how_long_it_takes() -> None:
    plan = a_plan(1, rounds=6, duration_s=2, warmup_s=1)
    words = budget_words(plan, None)
    assert words.startswith("6 rounds tell a difference of 4.4 % in throughput with 80 %")
    # Six rounds of two variants at two loads, three seconds each.
    assert words.endswith("3.0 %, assumed); at least 1.2 min")
    found = re.search(
        r"difference of ([\d.]+) %.*1.0 %, measured\); about 2.0 min left",
        budget_words(plan, 0.01, 120),
    )
    assert found is not None
    assert float(found[1]) < 2


def test_a_single_round_is_told_to_show_nothing() -> None:
    assert budget_words(a_plan(1, rounds=1), None).startswith("1 round tells no difference")


def test_a_load_test_that_may_stop_early_says_what_its_own_intervals_can_see() -> None:
    def words(rounds: int) -> str:
        return budget_words(a_plan(1, rounds=rounds, stop_early=True), None)

    assert words(4).startswith("4 rounds tell a difference of 14.7 % in throughput with 80 %")
    assert words(3).startswith("3 rounds decide nothing with load.stop_early: set load.rounds to 4")


def test_it_stops_when_every_variant_is_decided_and_not_before() -> None:
    slower = [math.log(0.8) + it for it in CLOSE]
    assert all_decided({"a": slower, "b": CLOSE}, 0.05)
    assert not all_decided({"a": slower, "b": CLOSE[:3]}, 0.05)
    assert not all_decided({"a": slower, "b": [0.06 * (-1) ** n for n in range(8)]}, 0.05)
    assert not all_decided({"a": slower, "b": []}, 0.05)
    assert not all_decided({}, 0.05)


def test_the_noise_is_that_of_all_variants_once_there_are_rounds_enough() -> None:
    assert noise_of({"a": [0.1, 0.2]}) is None
    assert noise_of({"a": [0.0, 0.1, 0.2]}) == pytest.approx(0.1)
    both = {"a": [0.0, 0.1, 0.2], "b": [0.3, 0.3, 0.3]}
    assert noise_of(both) == pytest.approx(0.1 / math.sqrt(2))
