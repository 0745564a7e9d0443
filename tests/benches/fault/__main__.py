"""``python -m tests.benches.fault [--faults a,b]``: what a service does when things break.

Serves two llama.cpp variants for itself, breaks one thing after another, and holds what clients
saw against limits. Writes ``results/bench/faults.json``.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import aiohttp

from tests.benches.fault.client_faults import leave, read_nothing
from tests.benches.fault.disk_faults import fill_artifacts, fill_results
from tests.benches.fault.end_faults import end_service
from tests.benches.fault.engine_faults import fill_log, hang_engine, kill_engine
from tests.benches.fault.recovery import ready
from tests.benches.fault.serving_faults import kill_haproxy, kill_replica
from tests.benches.fault.stage import Stage
from tests.benches.harness.bench_command import Bench, add_names, start
from tests.benches.harness.bench_figures import Figure
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.bench_table import figures_table
from tests.benches.harness.own_service import OwnService, own_service

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


async def try_faults(run: BenchRun, service: OwnService, names: Sequence[str]) -> None:
    """One fault after another, each on a service that is whole again."""
    async with aiohttp.ClientSession() as session:
        stage = Stage(service=service, session=session, victim=VICTIM, neighbour=NEIGHBOUR)
        for name in names:
            with run.cell(name):
                for variant in (VICTIM, NEIGHBOUR):
                    await ready(stage, variant)
                run.say(f"{name}:")
                began_s = time.monotonic()
                _keep(run, await FAULTS[name](stage))
                run.say(f"({time.monotonic() - began_s:.0f} s)\n")


def _keep(run: BenchRun, found: Sequence[Figure]) -> None:
    run.figures += found
    run.say(figures_table(found))


def measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    """Serve, break, measure; once more for every way in which a service may end."""
    breaking = [name for name in FAULTS if name in arguments.faults]
    ending = [name for name in ENDS if name in arguments.faults]
    for number, end in enumerate(ending or [None]):
        with own_service(str(PLAN), "make bench-faults", run.say, None) as service:
            if number == 0:
                asyncio.run(try_faults(run, service, breaking))
            if end is not None:
                run.say(f"{end}:")
                with run.cell(end):
                    _keep(run, end_service(service, kill=ENDS[end]))


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "--faults", [*FAULTS, *ENDS])


BENCH = Bench(
    name="faults",
    about=__doc__,
    measure=measure,
    add_options=_add_options,
    distributions=("ray", "aiohttp"),
)

if __name__ == "__main__":
    start(BENCH)
