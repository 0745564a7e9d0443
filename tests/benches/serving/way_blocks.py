"""Every way to an engine at one concurrency: blocks that take turns, each void or measured."""

import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from quantize.jobs.lifeline import end, guarded
from quantize.root import ROOT
from tests.benches.harness.bench_figures import Figure
from tests.benches.harness.bench_run import BenchRun
from tests.benches.serving.block_load import Block, Outcome
from tests.benches.serving.cpu_use import cpu_s, microseconds_per_token
from tests.benches.serving.measured_service import BenchService
from tests.benches.serving.null_variant import NAME, TPOT_S, TTFT_S
from tests.benches.serving.way_figures import (
    DIRECT,
    GATEWAY,
    SERVE,
    Measured,
    by_way,
    figures_of,
    table,
)

WARMUP_S = 1.0
DURATION_S = 4.0
PROMPT_TOKENS = 32
OUTPUT_TOKENS = 64
PATIENCE_S = 300


class BlockError(RuntimeError):
    """A block of load that says nothing: its client or a request failed, or none was finished."""


@dataclass(kw_only=True)
class Level:
    """One engine at one concurrency: what its blocks measured, and what they cost (µs a token)."""

    engine: str
    concurrency: int
    measured: list[Measured] = field(default_factory=list)
    costs: dict[str, dict[str, float]] = field(default_factory=dict)

    def turns(self, rounds: int) -> Iterator[tuple[int, str]]:
        """Rounds and ways, the ways in another order each round."""
        for number in range(rounds):
            order = random.Random(f"{self.engine}-{self.concurrency}-{number}")
            for way in order.sample([DIRECT, SERVE, GATEWAY], 3):
                yield number, way


def measure_level(service: BenchService, level: Level, rounds: int, run: BenchRun) -> None:
    """All rounds of all ways; a block that fails is void and the others are kept."""
    for number, way in level.turns(rounds):
        block = block_of(service, level, way, number)
        with run.cell(f"{level.engine} c={level.concurrency} {way}, round {number + 1}"):
            roles = service.roles()
            before = cpu_s(roles)
            outcome = run_client(block)
            level.costs[way] = microseconds_per_token(before, cpu_s(roles), outcome.tokens)
            level.measured.append(
                Measured(
                    engine=level.engine,
                    way=way,
                    concurrency=level.concurrency,
                    round=number,
                    outcome=outcome,
                )
            )


def conclude(run: BenchRun, level: Level) -> list[Figure]:
    """A level's figures and table; none where the direct child was never measured."""
    ways = by_way(level.measured, level.engine, level.concurrency)
    if DIRECT not in ways:
        return []
    told = figures_of(level.engine, level.concurrency, ways)
    run.figures += told
    run.say(table(level.engine, level.concurrency, ways))
    for way, cost in level.costs.items():
        shown = ", ".join(f"{role} {value:.0f}" for role, value in cost.items())
        run.say(f"    processor per token, {way}: {shown} µs (last round)")
    return told


def block_of(service: BenchService, level: Level, way: str, number: int) -> Block:
    """The load of one block; all ways get the same prompts."""
    child = service.children[level.engine]
    direct = way == DIRECT
    prefix = {DIRECT: "", SERVE: f"/{level.engine}", GATEWAY: ""}[way]
    paced = level.engine == NAME
    return Block(
        port=child.port if direct else service.port,
        path=f"{prefix}/v1/completions",
        key=child.key if direct else None,
        model=level.engine,
        concurrency=level.concurrency,
        warmup_s=WARMUP_S,
        duration_s=DURATION_S,
        prompt_tokens=PROMPT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        seed=number,
        ttft_s=TTFT_S if paced else None,
        tpot_s=TPOT_S if paced else None,
    )


def run_client(block: Block) -> Outcome:
    """Run one block in a process of its own.

    Raises:
        BlockError: it failed, or a request did, or none was finished in the window.
    """
    timeout_s = block.duration_s + PATIENCE_S
    client = subprocess.Popen(
        guarded([sys.executable, "-m", "tests.benches.serving.block_load"]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    with client:
        try:
            answer, said = client.communicate(block.model_dump_json(), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise BlockError(f"not answered within {timeout_s:.0f} s") from None
        finally:
            end(client)
    if client.returncode:
        raise BlockError(f"the client failed: {said[-500:]}")
    outcome = Outcome.model_validate_json(answer)
    if outcome.errors:
        raise BlockError(outcome.errors[0])
    if not outcome.ttft_s:
        raise BlockError("no request was sent within the window and finished")
    return outcome
