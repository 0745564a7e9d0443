"""``python -m tests.benches.fault [--faults a,b]``: what a service does when things break.

Serves two llama.cpp variants for itself, breaks one thing after another, and holds what clients
saw against limits. Writes ``results/bench/faults.json``.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from deploy.command_line import run_command
from tests.benches.fault.client_faults import leave, read_nothing
from tests.benches.fault.disk_faults import fill_artifacts, fill_results
from tests.benches.fault.end_faults import end_service
from tests.benches.fault.engine_faults import fill_log, hang_engine, kill_engine
from tests.benches.fault.fault_clients import open_session
from tests.benches.fault.recovery import at_most, ready
from tests.benches.fault.serving_faults import kill_haproxy, kill_replica
from tests.benches.fault.stage import FaultError, Stage
from tests.benches.harness.bench_figures import BENCH_DIR, Figure, write_figures
from tests.benches.harness.own_service import OwnService, own_service

FIGURES = BENCH_DIR / "faults.json"
PLAN = Path(__file__).parent / "plan.yaml"
VICTIM, NEIGHBOUR = "gguf-q4_k_m", "gguf-q8_0"
FAULTS: Mapping[str, Callable[[Stage], Awaitable[list[Figure]]]] = {
    "clients-leave": leave,
    "slow-readers": read_nothing,
    "kill-engine": kill_engine,
    "hang-engine": hang_engine,
    "fill-log": fill_log,
    "kill-worker": kill_replica,
    "kill-haproxy": kill_haproxy,
    "fill-artifacts": fill_artifacts,
    "fill-results": fill_results,
}
# What ends the service comes last; it is served anew in between.
ENDS: Mapping[str, bool] = {"stop": False, "kill-host": True}


def _say(line: str) -> None:
    print(line, flush=True)


def _tell(figures: Sequence[Figure]) -> None:
    for figure in figures:
        limit = "" if figure.limit is None else f"  limit {figure.limit:,.4g}"
        against = "" if figure.against is None else f"  against {figure.against:,.4g}"
        verdict = "" if figure.met is None else "  met" if figure.met else "  NOT MET"
        _say(f"  {figure.name:<62} {figure.value:>9,.4g} {figure.unit:<5}{against}{limit}{verdict}")


async def try_faults(service: OwnService, names: Sequence[str]) -> list[Figure]:
    """One fault after another, each on a service that is whole again."""
    figures: list[Figure] = []
    async with open_session() as session:
        stage = Stage(service=service, session=session, victim=VICTIM, neighbour=NEIGHBOUR)
        for name in names:
            for variant in (VICTIM, NEIGHBOUR):
                await ready(stage, variant)
            _say(f"{name}:")
            began_s = time.monotonic()
            try:
                found = await FAULTS[name](stage)
            except FaultError as error:
                _say(f"  {error}")
                found = [at_most(f"{name}: could not be tried", 1, "count", 0)]
            _tell(found)
            _say(f"  ({time.monotonic() - began_s:.0f} s)")
            figures += found
    return figures


def run(names: Sequence[str]) -> list[Figure]:
    """Serve, break, measure; once more for every way in which a service may end."""
    breaking = [name for name in FAULTS if name in names]
    ending = [name for name in ENDS if name in names]
    figures: list[Figure] = []
    for number, end in enumerate(ending or [None]):
        with own_service(str(PLAN), "make bench-faults", _say, None) as service:
            if number == 0:
                figures += asyncio.run(try_faults(service, breaking))
            if end is not None:
                _say(f"{end}:")
                found = end_service(service, kill=ENDS[end])
                _tell(found)
                figures += found
    return figures


def main() -> None:
    """Parse the command line and run the benchmark."""
    known = [*FAULTS, *ENDS]
    parser = argparse.ArgumentParser(prog="python -m tests.benches.fault", description=__doc__)
    parser.add_argument("--faults", help=f"only these, separated by commas ({', '.join(known)})")
    arguments = parser.parse_args()

    def command() -> None:
        names = arguments.faults.split(",") if arguments.faults else known
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"unknown fault {unknown[0]!r} (valid: {', '.join(known)})")
        figures = run(names)
        missed = [figure.name for figure in figures if figure.met is False]
        _say(f"limits not met: {'; '.join(missed) or 'none'}")
        write_figures(FIGURES, figures, ["ray", "aiohttp"])
        _say(f"written to {FIGURES}")
        if missed:
            sys.exit(1)

    run_command("bench-faults", command)


if __name__ == "__main__":
    main()
