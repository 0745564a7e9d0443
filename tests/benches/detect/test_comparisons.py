"""covers: tests/benches/detect/neighbour.py, tests/benches/detect/working_server.py"""

import numpy as np
import pytest

from loadtest.pairing import RoundFigures
from loadtest.stats import Floats
from tests.benches.detect.comparisons import (
    Compared,
    compare,
    figures_of,
    gain_of,
    legs_of,
    operating_curve,
)
from tests.benches.detect.neighbour import neighbour
from tests.benches.detect.working_server import working_server


def rounds_of(rates: Floats) -> list[RoundFigures]:
    return [
        RoundFigures(
            round=number,
            started_at=f"round {number}",
            output_tok_per_s=float(rate),
            goodput_per_s=1.0,
            e2e_p50_s=1.0,
        )
        for number, rate in enumerate(rates)
    ]


def simulated(difference: float, count: int = 40) -> list[Compared]:
    rng = np.random.default_rng(6)
    found = []
    for _ in range(count):
        left = rng.uniform(0.4, 1, size=8)
        a, b = (left * rng.lognormal(sigma=0.02, size=8) for _ in range(2))
        found.append(Compared(a=rounds_of(100 * a), b=rounds_of(100 * b * (1 - difference))))
    return found


def test_each_round_reverses_the_one_before() -> None:
    names = [leg.variant for leg in legs_of(3)]
    assert names == ["a-0", "b-0", "b-1", "a-1", "a-2", "b-2"]


def test_pairing_sees_what_a_neighbour_hides_and_calls_nothing_that_is_not_there() -> None:
    seen = {figure.name: figure for figure in figures_of("ab", simulated(0.06), differ=True)}
    assert seen["ab_seen_paired"].met
    assert seen["ab_seen_unpaired"].value < 0.3
    same = {figure.name: figure for figure in figures_of("aa", simulated(0.0), differ=False)}
    assert same["aa_same_paired"].value >= 0.9
    assert same["aa_same_anytime"].met
    assert gain_of(simulated(0.0)) > 20


def test_a_confidence_sequence_tells_a_large_difference_early() -> None:
    stops = [it.stopped_after for it in simulated(0.3)]
    assert all(stop is not None and stop < 8 for stop in stops)


def test_the_operating_curve_rises_with_the_difference() -> None:
    powers = [float(seen.split()[0]) for _, seen in operating_curve(0.03, 8)]
    assert powers == sorted(powers)
    assert powers[-1] > 99


def test_the_real_client_takes_turns_at_a_server_that_computes() -> None:
    with working_server(1.0) as port, neighbour(1):
        found = compare(port, rounds=4, duration_s=0.5)
    assert len(found.log_ratios) == 4
    # Twice the work per token: the ratio lies near a half on any machine.
    assert found.paired().value == pytest.approx(0.5, abs=0.25)
