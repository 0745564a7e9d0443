"""``python -m tests.benches.evidence [--simulations 2000] [--only coverage,margin,verdict,…]``

Does the evidence keep its word? Where the truth is known because it is drawn: how often every
interval of the report holds it, how often a loss as large as the margin is passed, how often the
verdict of a whole comparison of ten variants is false, how often a load test that stops early ever
calls equal variants different (``stop``), and whether the search for the highest rate finds that of
a queue whose waits are known (``knee``; ``queue``, by name alone: by the real client). Where it is
known because it is planted (``planted``): whether six defects of a real model are called. And
``hf``: whether our table is that of lm-eval's own backend. Writes ``results/bench/evidence.json``.
"""

import argparse

from tests.benches.evidence.coverage import (
    AT_THE_MARGIN,
    CASES,
    LEAST,
    MOST,
    coverage,
    wrongly_passed,
)
from tests.benches.evidence.hf_table import measure_hf
from tests.benches.evidence.load_parts import measure_knee, measure_queue, measure_stop
from tests.benches.evidence.planted import measure_planted
from tests.benches.evidence.whole_comparisons import WORLDS, wrong_share
from tests.benches.harness.bench_command import Bench, add_names, start
from tests.benches.harness.bench_figures import at_least, at_most
from tests.benches.harness.bench_run import BenchRun

SIMULATIONS, SEED = 2000, 15
PARTS = ("coverage", "margin", "verdict", "stop", "knee", "queue", "planted", "hf")
WRONG = 0.05


def _coverage(run: BenchRun, simulations: int) -> None:
    for case in CASES:
        with run.cell(case.name):
            share = coverage(case, simulations, SEED)
            run.say(f"{case.name}: {100 * share:.1f} % hold the truth")
            run.figures.append(at_least(f"coverage: {case.name}", share, "share", LEAST))
            if case.exact:
                run.figures.append(at_most(f"no wider: {case.name}", share, "share", MOST))


def _margin(run: BenchRun, simulations: int) -> None:
    for case in AT_THE_MARGIN:
        with run.cell(case.name):
            share = wrongly_passed(case, simulations, SEED)
            run.say(f"{case.name}: {100 * share:.1f} % of losses at the margin are passed")
            run.figures.append(at_most(f"passed at the margin: {case.name}", share, "share", WRONG))


def _verdict(run: BenchRun, simulations: int) -> None:
    for world in WORLDS:
        with run.cell(world.name):
            wrong, told = wrong_share(world, simulations, SEED)
            run.say(
                f"{world.name}: {100 * wrong:.1f} % false verdicts; {100 * told:.0f} % recommend "
                "another variant than the baseline"
            )
            run.figures.append(at_most(f"false verdicts: {world.name}", wrong, "share", WRONG))


def _measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    drawn = {"coverage": _coverage, "margin": _margin, "verdict": _verdict}
    asked = {"stop": measure_stop, "knee": measure_knee, "queue": measure_queue}
    asked |= {"planted": measure_planted, "hf": measure_hf}
    for name in arguments.only:
        if name in drawn:
            drawn[name](run, arguments.simulations)
        else:
            asked[name](run)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help="of each case")
    add_names(parser, "--only", PARTS, [part for part in PARTS if part != "queue"])


BENCH = Bench(
    name="evidence",
    about=__doc__,
    measure=_measure,
    add_options=_add_options,
    distributions=("numpy", "scipy"),
)

if __name__ == "__main__":
    start(BENCH)
