"""``python -m tests.benches.soak [--minutes N]``: does the service stay as it is under load?

Serves a plan for itself, loads it with a mix of good, broken-off and bad requests from eight
clients in a closed loop, and watches every process of the deployment. Writes
``results/bench/soak.json`` with its raw samples and outcomes beside it.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

from deploy.command_line import run_command
from deploy.health import health
from deploy.plan import DEFAULT_PLAN
from loadtest.prompts import make_prompts
from quantize.calibration.calibration_set import calibration_plan, read_texts
from quantize.source.source_model import resolve_model
from tests.benches.harness.bench_figures import BENCH_DIR, Figure, write_figures
from tests.benches.harness.own_service import OwnService, own_service
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

FIGURES = BENCH_DIR / "soak.json"
SAMPLES = BENCH_DIR / "soak-processes.parquet"
OUTCOMES = BENCH_DIR / "soak-requests.parquet"
CONCURRENCY = 8
INTERVAL_S = 10.0
LEAST_SAMPLES = 60
SETTLE_S = 5.0
SHOWN = 40


def _say(line: str) -> None:
    print(line, flush=True)


def load(service: OwnService, seconds: float) -> tuple[list[Outcome], list[Sample]]:
    """Load and watch the service for so long."""
    plan = service.plan
    calibration = plan.calibration
    path = calibration_plan(calibration.text, calibration.samples, calibration.sequence_length).path
    texts = read_texts(path)
    prompts = make_prompts(resolve_model(plan.model), texts, seed=plan.load.seed)
    mix = Mix(plan.variants, prompts, texts, plan.serving.context_length)
    clients = Clients(service.url, mix, CONCURRENCY)
    with Sampler(service.record, min(INTERVAL_S, seconds / LEAST_SAMPLES)) as sampler:

        def tell(passed_s: float) -> None:
            wrong = sum(o.judgement == "unexplained" for o in clients.outcomes)
            total = sum(s.pss_bytes for s in sampler.samples if s.at_s == sampler.samples[-1].at_s)
            _say(
                f"  {passed_s / 60:.0f} min: {len(clients.outcomes):,} requests, "
                f"{wrong} unexplained, {total / 2**20:,.0f} MiB"
            )

        asyncio.run(clients.run(seconds, tell))
    return clients.outcomes, sampler.samples


def after_figures(service: OwnService) -> list[Figure]:
    """What must be so once the load has gone: nothing in flight, no engine restarted."""
    time.sleep(SETTLE_S)
    return state_figures(service.plan.variants, health(service.url))


def assess(
    outcomes: Sequence[Outcome], samples: Sequence[Sample], seconds: float, after: list[Figure]
) -> bool:
    """Print, write, and say whether every limit is met."""
    kept = after_warm_up(samples, seconds)
    stayed, passing = lasting(kept)
    rows = [together([sample for group in stayed for sample in group]), *map(steadiness, stayed)]
    came = [f"{group[-1].role} ({len(group)} samples)" for group in passing]
    found = latencies(outcomes, seconds)
    throughput = throughput_figure(outcomes, seconds)
    figures = [
        *error_figures(outcomes),
        *after,
        passing_figure(passing),
        throughput,
        *memory_figures(rows),
        *count_figures(rows),
        *latency_figures(found),
    ]
    wrong = [outcome for outcome in outcomes if outcome.judgement == "unexplained"]
    missed = [figure.name for figure in figures if figure.met is False]
    _say(f"\n{table(rows)}\n\n{kinds_table(outcomes)}\n\n{latency_table(found)}\n")
    _say(
        f"throughput: {throughput.against:,.0f} tok/s in the first quarter, "
        f"{throughput.value:,.0f} in the last ({throughput.ratio:.2f})"
    )
    _say(f"processes that came or went: {', '.join(came) or 'none'}")
    for outcome in wrong[:SHOWN]:
        _say(f"unexplained: {outcome.kind} at {outcome.path}: {outcome.detail}")
    _say(f"limits not met: {'; '.join(missed) or 'none'}")
    BENCH_DIR.mkdir(parents=True, exist_ok=True)
    write_samples(SAMPLES, samples)
    write_outcomes(OUTCOMES, outcomes)
    more = {"minutes": seconds / 60, "processes": as_rows(rows), "came_or_went": came}
    unexplained = [asdict(outcome) for outcome in wrong]
    write_figures(FIGURES, figures, ["ray", "aiohttp"], **more, unexplained=unexplained)
    _say(f"written to {FIGURES}")
    return not missed


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benches.soak", description=__doc__)
    parser.add_argument("--plan", default=DEFAULT_PLAN, help="a plan's file or bundled name")
    parser.add_argument("--variants", help="only these, separated by commas")
    parser.add_argument("--minutes", type=float, default=60.0)
    arguments = parser.parse_args()

    def command() -> None:
        chosen = arguments.variants.split(",") if arguments.variants else None
        seconds = arguments.minutes * 60
        with own_service(arguments.plan, "make bench-soak", _say, chosen) as service:
            _say(f"loading it for {arguments.minutes:g} min with {CONCURRENCY} clients")
            outcomes, samples = load(service, seconds)
            after = after_figures(service)
        if not assess(outcomes, samples, seconds, after):
            sys.exit(1)

    run_command("bench-soak", command)


if __name__ == "__main__":
    main()
