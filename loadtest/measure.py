"""The load test of a run: which rounds are missing, in which order, and what they leave behind.

Variants take turns within a round, in a random order of the seed, so that a machine that warms up
or slows down does so for all of them. A finished round is kept (``rounds/<k>.parquet``, then
``<k>.json``) and never measured again while its inputs are the same; ``load.json`` comes last.
"""

import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from deploy.plan import Plan
from loadtest.endpoint import EndpointError, read_endpoint
from loadtest.job import Job, LevelEnd
from loadtest.load_file import LOAD_NAME, Endpoint, LoadFile, RoundFile
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.merging import finish
from loadtest.prompts import PromptSource
from loadtest.records import RequestRecord, write_records
from loadtest.run_directory import RESULTS_DIR, open_run, run_directory
from loadtest.summary import counted, output_throughput, percentiles
from loadtest.target import Target, inputs_sha256, write_result

Say = Callable[[str], None]


def load_test(
    plan: Plan, prompts: PromptSource, *, say: Say, results: Path = RESULTS_DIR
) -> list[str]:
    """Measure what is missing in the plan's run; returns why variants failed (none: all is done).

    Blocks for the whole load test. ``say`` gets one line per level. A variant that fails is left
    out of the remaining rounds, and the others go on.

    Raises:
        EndpointError: an endpoint is not ready (checked for all before the first request).
    """
    targets = _missing(plan, run_directory(plan, results), prompts, say)
    failures: dict[str, str] = {}
    if not targets:
        return []
    prompts_path = open_run(plan, results) / "prompts.npz"
    prompts.save(prompts_path)
    for number in range(plan.load.rounds):
        for name in round_order(sorted(targets), seed=plan.load.seed, number=number):
            target = targets[name]
            if name in failures or target.read(RoundFile, target.round_file(number, "json")):
                continue
            try:
                _run_round(_job(plan, name, number, prompts_path), plan, target, say)
            except (LoadTestError, EndpointError) as error:
                failures[name] = str(error)
                say(f"FAILED  {error}")
            else:
                _finish(plan, target, say)
    return list(failures.values())


def round_order(variants: list[str], *, seed: int, number: int) -> list[str]:
    """The order of the variants in round ``number``: random, and the same for the same seed."""
    return random.Random(f"{seed}-{number}").sample(variants, len(variants))


def _missing(plan: Plan, run: Path, prompts: PromptSource, say: Say) -> dict[str, Target]:
    """The variants that have no valid ``load.json`` yet, by name."""
    missing: dict[str, Target] = {}
    for endpoint in [read_endpoint(plan.serving, name) for name in plan.variants]:
        target = Target(
            endpoint=endpoint,
            directory=run / endpoint.variant,
            inputs_sha256=inputs_sha256(plan, endpoint, prompts),
        )
        if target.read(LoadFile, target.directory / LOAD_NAME):
            say(f"{endpoint.variant}: load test cached")
        elif not _finish(plan, target, say):
            missing[endpoint.variant] = target
    return missing


def _job(plan: Plan, variant: str, number: int, prompts: Path) -> Job:
    return Job(
        variant=variant,
        url=plan.serving.url,
        round=number,
        rounds=plan.load.rounds,
        concurrencies=tuple(sorted(plan.load.concurrencies)),
        warmup_s=plan.load.warmup_s,
        duration_s=plan.load.duration_s,
        prompt_tokens=plan.load.prompt_tokens,
        output_tokens=plan.load.output_tokens,
        request_timeout_s=plan.serving.request_timeout_s,
        prompts=prompts,
        parent_pid=os.getpid(),
    )


def _run_round(job: Job, plan: Plan, target: Target, say: Say) -> None:
    """Measure one round and keep it; a round that did not come to its end leaves only its log."""
    target.round_file(job.round, "json").parent.mkdir(parents=True, exist_ok=True)
    started_at, began = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    html = target.directory / f"locust-round{job.round}.html"
    partial = html.with_suffix(".partial")
    try:
        records, levels = run_locust(
            job,
            html=partial,
            log=target.round_file(job.round, "log"),
            on_level=lambda level, seen: say(_progress(job, level, seen)),
        )
        partial.replace(html)
    finally:
        partial.unlink(missing_ok=True)
    _check(job, records)
    # Memory is read again after the load: caches and key-value pages grow with it.
    after = read_endpoint(plan.serving, job.variant)
    if (after.artifact_sha256, after.engine_version) != (
        target.endpoint.artifact_sha256,
        target.endpoint.engine_version,
    ):
        raise LoadTestError(f"{job.variant}: was deployed anew during its load test; run it again")
    write_records(target.round_file(job.round, "parquet"), records)
    result = RoundFile(
        inputs_sha256=target.inputs_sha256,
        endpoint=_with_most_memory(target.endpoint, after),
        started_at=started_at,
        seconds=time.monotonic() - began,
        locust_version=version("locust"),
        levels=levels,
    )
    write_result(target.round_file(job.round, "json"), result)


def _with_most_memory(before: Endpoint, after: Endpoint) -> Endpoint:
    known = [m for m in (before.memory_bytes, after.memory_bytes) if m is not None]
    return after.model_copy(update={"memory_bytes": max(known, default=None)})


def _check(job: Job, records: list[RequestRecord]) -> None:
    """Refuse a round in which a level has no successful request: there is nothing to compare."""
    for concurrency in job.concurrencies:
        measured = [r for r in records if r.concurrency == concurrency and r.counted]
        if not any(record.error is None for record in measured):
            reason = measured[0].error if measured else "none was sent in the measuring window"
            raise LoadTestError(
                f"{job.variant}: all {len(measured)} requests at concurrency {concurrency} "
                f"failed: {reason}"
            )


def _progress(job: Job, level: LevelEnd, records: list[RequestRecord]) -> str:
    """One finished level in one line."""
    place = f"{job.variant:<24} round {job.round + 1}/{job.rounds}  c={level.concurrency:<3}"
    if not any(record.counted for record in records):
        return f"{place}  no request counted"
    kept = counted(records)
    errors = sum(record.error is not None for record in kept)
    medians = [
        f"{name} p50 {figures['p50'].value * 1000:.1f} ms"
        for name, figures in (
            ("TTFT", percentiles(kept, "ttft_s")),
            ("TPOT", percentiles(kept, "tpot_s")),
        )
        if figures
    ]
    figures = [f"{len(kept):5d} req", f"{output_throughput(kept).value:9.1f} tok/s", *medians]
    if errors:
        figures.append(f"{errors} errors")
    if level.client.saturated:
        figures.append("LOAD GENERATOR SATURATED: figures are void")
    return f"{place}  {'  '.join(figures)}"


def _finish(plan: Plan, target: Target, say: Say) -> bool:
    """Merge the rounds of a variant if they are complete."""
    result = finish(plan, target)
    if result is not None and result.saturated:
        say(
            f"{result.variant}: the load generator was saturated, so its figures are void; measure "
            f"on a quieter machine after deleting {target.directory}"
        )
    return result is not None
