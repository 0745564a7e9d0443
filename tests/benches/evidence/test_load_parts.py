import pytest

from loadtest.slo_search import Trial
from tests.benches.evidence.known_queue import SERVICE_S, true_rate
from tests.benches.evidence.load_parts import measure_searches
from tests.benches.harness.bench_run import BenchRun


def cliff_at(rate: float) -> list[Trial]:
    """Trials all around a rate beyond which all fails."""
    rates = [rate * (0.8 + 0.4 * place / 40) for place in range(41)]
    return [Trial(rate=it, requests=600, met=600 if it < rate else 0) for it in rates]


def test_searches_are_held_against_the_truth_and_by_how_often_they_hold_it() -> None:
    run = BenchRun(name="evidence", selection={})
    truth = true_rate(SERVICE_S)
    measure_searches(
        run, "x", [lambda: cliff_at(truth), lambda: cliff_at(1.1 * truth)], SERVICE_S, 0.95
    )
    average, worst, covered = run.figures
    assert average.value == pytest.approx(5, abs=1)
    assert worst.value == pytest.approx(10, abs=1)
    assert (average.met, covered.value, covered.met) == (False, 0.5, False)
