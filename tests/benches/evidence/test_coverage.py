"""covers: tests/benches/evidence/draw_answers.py"""

import numpy as np
import pytest
from numpy.random import Generator

from loadtest.intervals import Estimate
from tests.benches.evidence.coverage import CASES, Case, coverage, holds, records_of


def test_an_interval_that_is_too_narrow_is_found_out() -> None:
    def narrow(rng: Generator) -> list[Estimate]:
        value = float(rng.normal())
        return [Estimate(value=value, low=value - 1, high=value + 1)]

    share = coverage(Case(name="narrow", draw=narrow, truth=0.0), 2000, 0)
    assert share == pytest.approx(0.683, abs=0.03)


def test_every_look_must_hold_the_truth_and_no_bounds_say_nothing_false() -> None:
    rng = np.random.default_rng(0)
    good, bad = Estimate(value=1, low=0, high=2), Estimate(value=3, low=2.5, high=4)
    for found, expected in (([good], True), ([good, bad], False), ([Estimate(value=9)], True)):
        assert holds(Case(name="x", draw=lambda _, it=found: it, truth=1.0), rng) is expected  # type: ignore[misc]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_draws_intervals(case: Case) -> None:
    rng = np.random.default_rng(1)
    assert any(found.bounds is not None for found in case.draw(rng))


def test_the_requests_of_a_round_have_its_speed_in_common() -> None:
    rng = np.random.default_rng(2)
    found = [records_of(rng) for _ in range(30)]
    means = [
        [float(np.mean([r.end_s - r.send_s for r in run if r.round == n])) for n in range(6)]
        for run in found
    ]
    assert np.std(means) == pytest.approx(0.05, abs=0.01)
