"""What the load test decides by itself, where the truth is known: to stop, and the highest rate."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean

from loadtest.rate_search import rate_words
from loadtest.slo_search import Trial
from tests.benches.evidence.early_stop import MACHINES, STREAMS, false_calls
from tests.benches.evidence.known_queue import (
    SERVICE_S,
    found_by,
    real_search,
    simulated_search,
    true_rate,
)
from tests.benches.harness.bench_figures import at_least, at_most
from tests.benches.harness.bench_run import BenchRun

SEED, WRONG = 15, 0.05
# Searches of a queue: simulated, and by the real client at a real one.
SEARCHES, REAL_SEARCHES = 20, 2
OFF_LIMIT_PERCENT, COVERED = 3.0, 19 / 20


def measure_stop(run: BenchRun) -> None:
    """Of a thousand load tests of equal variants on each machine: which ever call a difference."""
    for machine in MACHINES:
        with run.cell(machine.name):
            share = false_calls(machine, STREAMS, SEED)
            run.say(f"{machine.name}: {100 * share:.1f} % of equals are ever called different")
            run.figures.append(at_most(f"ever called: {machine.name}", share, "share", WRONG))


def measure_knee(run: BenchRun) -> None:
    """Simulated searches; some seconds."""
    searches = [partial(simulated_search, number) for number in range(SEARCHES)]
    measure_searches(run, "simulated", searches, SERVICE_S, COVERED)


def measure_queue(run: BenchRun) -> None:
    """The same by the real client at a real queue; some 20 minutes."""
    searches = [partial(real_search, number) for number in range(REAL_SEARCHES)]
    measure_searches(run, "real", searches, SERVICE_S, None)


def measure_searches(
    run: BenchRun,
    name: str,
    searches: Sequence[Callable[[], list[Trial]]],
    service_s: float,
    covered_least: float | None,
) -> None:
    """Search the highest rate of a queue with this service time, and hold it against the truth."""
    truth, off, covered = true_rate(service_s), list[float](), 0
    for number, search in enumerate(searches):
        with run.cell(f"{name} search {number}"):
            trials = search()
            found = found_by(trials)
            off.append(100 * abs(found.value / truth - 1))
            covered += found.covers(truth)
            words = f"{rate_words(found)}, truly {truth:.2f}, by {len(trials)} trials"
            run.say(f"{name} search {number}: {words}")
    if off:
        run.figures += [
            at_most(f"{name} queue: off on average", fmean(off), "%", OFF_LIMIT_PERCENT),
            at_most(f"{name} queue: off at worst", max(off), "%", None),
            at_least(
                f"{name} queue: within the interval", covered / len(off), "share", covered_least
            ),
        ]
