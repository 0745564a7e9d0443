"""``python -m tests.benches.soak [--minutes N]``: does the service stay as it is under load?

Serves a plan for itself, loads it with a mix of good, broken-off and bad requests from eight
clients in a closed loop, and watches every process of the deployment. Writes
``results/bench/soak.json`` with its raw samples and outcomes beside it.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict

from deploy.artifacts import source_folder
from deploy.health import health
from deploy.plan import DEFAULT_PLAN, Plan
from loadtest.prompts import make_prompts
from quantize.calibration.calibration_set import calibration_plan, read_texts
from services.variants import VARIANTS
from tests.benches.harness.bench_command import Bench, add_names, start
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.own_service import own_service
from tests.benches.soak.answers import Outcome
from tests.benches.soak.assessment import (
    after_warm_up,
    as_rows,
    count_figures,
    lasting,
    memory_figures,
    passing_figure,
    steadiness,
    table,
    together,
)
from tests.benches.soak.mix import Mix
from tests.benches.soak.processes import Sample, Sampler, write_samples
from tests.benches.soak.service_figures import (
    error_figures,
    kinds_table,
    latencies,
    latency_figures,
    latency_table,
    state_figures,
    throughput_figure,
    write_outcomes,
)
from tests.benches.soak.soak_clients import Clients

CONCURRENCY = 8
INTERVAL_S = 10.0
LEAST_SAMPLES = 60
SETTLE_S = 5.0
SHOWN = 40


def measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    """Serve, load for so long, or until a stop, and assess what was seen."""
    variants = arguments.variants or None
    with own_service(arguments.plan, "make bench-soak", run.say, variants) as service:
        run.say(f"loading it for {arguments.minutes:g} min with {CONCURRENCY} clients")
        seconds = arguments.minutes * 60
        clients = Clients(service.url, mix_of(service.plan), CONCURRENCY)
        sampler = Sampler(service.record, min(INTERVAL_S, seconds / LEAST_SAMPLES))
        try:
            load(run, clients, sampler, seconds)
        finally:
            length_s = min(seconds, sampler.samples[-1].at_s) if sampler.samples else 0.0
            if clients.outcomes and length_s:
                assess(run, clients.outcomes, sampler.samples, length_s)
        with run.cell("what every variant says at the end"):
            time.sleep(SETTLE_S)
            run.figures += state_figures(service.plan.variants, health(service.url))


def mix_of(plan: Plan) -> Mix:
    """The requests of a plan's load."""
    calibration = plan.calibration
    path = calibration_plan(calibration.text, calibration.samples, calibration.sequence_length).path
    texts = read_texts(path)
    prompts = make_prompts(source_folder(plan), texts, seed=plan.load.seed)
    return Mix(plan.variants, prompts, texts, plan.serving.context_length)


def load(run: BenchRun, clients: Clients, sampler: Sampler, seconds: float) -> None:
    """Load and watch the service; both grow as it goes."""

    def tell(passed_s: float) -> None:
        wrong = sum(o.judgement == "unexplained" for o in clients.outcomes)
        total = sum(s.pss_bytes for s in sampler.samples if s.at_s == sampler.samples[-1].at_s)
        run.say(
            f"  {passed_s / 60:.0f} min: {len(clients.outcomes):,} requests, "
            f"{wrong} unexplained, {total / 2**20:,.0f} MiB"
        )

    with sampler:
        asyncio.run(clients.run(seconds, tell))


def assess(
    run: BenchRun, outcomes: Sequence[Outcome], samples: Sequence[Sample], seconds: float
) -> None:
    """Print what the clients and the processes showed, and keep it."""
    kept = after_warm_up(samples, seconds)
    stayed, passing = lasting(kept)
    every = [sample for group in stayed for sample in group]
    rows = [together(every), *map(steadiness, stayed)] if every else []
    came = [f"{group[-1].role} ({len(group)} samples)" for group in passing]
    found = latencies(outcomes, seconds)
    throughput = throughput_figure(outcomes, seconds)
    run.figures += [
        *error_figures(outcomes),
        passing_figure(passing),
        throughput,
        *memory_figures(rows),
        *count_figures(rows),
        *latency_figures(found),
    ]
    wrong = [outcome for outcome in outcomes if outcome.judgement == "unexplained"]
    run.say(f"\n{table(rows)}\n\n{kinds_table(outcomes)}\n\n{latency_table(found)}\n")
    run.say(f"processes that came or went: {', '.join(came) or 'none'}")
    for outcome in wrong[:SHOWN]:
        run.say(f"unexplained: {outcome.kind} at {outcome.path}: {outcome.detail}")
    run.more |= {"minutes": seconds / 60, "processes": as_rows(rows), "came_or_went": came}
    run.more["unexplained"] = [asdict(outcome) for outcome in wrong]
    run.beside["-processes.parquet"] = lambda path: write_samples(path, samples)
    run.beside["-requests.parquet"] = lambda path: write_outcomes(path, outcomes)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", default=DEFAULT_PLAN, help="a plan's file or bundled name")
    add_names(parser, "--variants", list(VARIANTS), ())
    parser.add_argument("--minutes", type=float, default=60.0)


BENCH = Bench(
    name="soak",
    about=__doc__,
    measure=measure,
    add_options=_add_options,
    distributions=("ray", "aiohttp"),
)

if __name__ == "__main__":
    start(BENCH)
