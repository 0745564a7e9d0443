"""``python -m tests.benches.detect [--comparisons 20] [--rounds 60] [--duration 0.25]``

Is a difference seen, and none where there is none? A server that computes is loaded under two
names while a neighbour comes and goes: A/A, then A/B with B slower by ``slower``. A comparison has
its rounds, in each of which both take a turn; it calls a difference where the 99 % interval of
their ratio excludes 1. Prints the operating curve. Writes ``results/bench/detect.json``.
"""

import argparse

from loadtest.intervals import Estimate
from tests.benches.detect.comparisons import (
    Compared,
    compare,
    figures_of,
    operating_curve,
    paired_noise,
)
from tests.benches.detect.neighbour import neighbour
from tests.benches.detect.working_server import working_server
from tests.benches.harness.bench_command import Bench, start
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.bench_table import columns

COMPARISONS, ROUNDS, DURATION_S, SLOWER = 20, 60, 0.25, 0.05


def _measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    rows: list[dict[str, object]] = []
    run.more["comparisons"] = rows
    everything: list[Compared] = []
    for name, slower in (("aa", 0.0), ("ab", arguments.slower)):
        found: list[Compared] = []
        with working_server(slower) as port:
            for number in range(arguments.comparisons):
                with run.cell(f"{name} {number}"), neighbour(number):
                    found.append(
                        compare(port, rounds=arguments.rounds, duration_s=arguments.duration)
                    )
                    rows.append(_row(name, found[-1]))
                    run.say(_line(f"{name} {number}", found[-1]))
        if found:
            run.figures += figures_of(name, found, differ=slower > 0)
            everything += found
    if everything:
        noise = paired_noise(everything)
        run.say(f"\n{arguments.rounds} rounds, noise of paired rounds {100 * noise:.1f} %")
        run.say(columns(("difference", "seen"), operating_curve(noise, arguments.rounds)))


def _row(name: str, found: Compared) -> dict[str, object]:
    return {
        "what": name,
        "paired": _told(found.paired()),
        "unpaired": _told(found.unpaired()),
        "log_ratios": [round(it, 5) for it in found.log_ratios],
        "told_apart_after": found.stopped_after,
    }


def _line(name: str, found: Compared) -> str:
    """One comparison in one line."""
    paired, alone = _told(found.paired()), _told(found.unpaired())
    noise = 100 * paired_noise([found])
    return f"{name}: b / a {paired} in turns, {alone} apart; noise of paired rounds {noise:.1f} %"


def _told(found: Estimate) -> list[float]:
    return [round(it, 4) for it in (found.value, *(found.bounds or ()))]


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--comparisons", type=int, default=COMPARISONS, help="of each kind")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each comparison")
    parser.add_argument("--duration", type=float, default=DURATION_S, help="seconds of a turn")
    parser.add_argument("--slower", type=float, default=SLOWER, help="0.05: by 5 %%")


BENCH = Bench(
    name="detect",
    about=__doc__,
    measure=_measure,
    add_options=_add_options,
    distributions=("locust", "gevent", "scipy"),
)

if __name__ == "__main__":
    start(BENCH)
