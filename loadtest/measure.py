"""The load test of a run: which rounds are missing, in which order, and what they leave behind.

Variants take turns within a round, in a random order of the seed, so that a machine that warms up
or slows down does so for all of them. A finished round is kept (``rounds/<k>.parquet``, then
``<k>.json``) and never measured again while its inputs are the same; ``load.json`` comes last.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from deploy.artifacts import source_folder
from deploy.plan import Plan
from loadtest.endpoint import EndpointError, read_endpoint
from loadtest.failures import forget_failures, record_failure
from loadtest.inputs import measured_from, summed_from
from loadtest.job import Job, LevelEnd
from loadtest.load_file import LOAD_NAME, Endpoint, LoadFile, RoundFile
from loadtest.load_kinds import points_of
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.merging import finish, most_memory
from loadtest.prompts import PromptSource, make_prompts
from loadtest.records import RequestRecord, write_records
from loadtest.run_directory import RESULTS_DIR, open_run
from loadtest.summary import counted, output_throughput, percentiles
from loadtest.target import Target, write_result
from quantize.calibration.calibration_set import calibration_plan, read_texts
from quantize.jobs.whole_file import writing
from quantize.validity.made_from import key_of

PROMPTS_NAME = "prompts.npz"
Say = Callable[[str], None]


def run_load_test(plan: Plan, *, say: Say) -> dict[str, str]:
    """The stage: prompts from the plan's calibration text, then ``load_test``.

    Raises:
        EndpointError: the baseline is not ready.
        PromptError, SourceModelError, CalibrationError: no prompts can be made.
    """
    text = plan.calibration
    texts = read_texts(calibration_plan(text.text, text.samples, text.sequence_length).path)
    prompts = make_prompts(source_folder(plan), texts, seed=plan.load.seed)
    return load_test(plan, prompts, say=say)


def load_test(
    plan: Plan, prompts: PromptSource, *, say: Say, results: Path = RESULTS_DIR
) -> dict[str, str]:
    """Measure what is missing in the plan's run; returns why variants failed, by name.

    Blocks for the whole load test. ``say`` gets one line per level. A variant that is not ready or
    fails is left out from then on, and the others go on; the reason is kept in the run.

    Raises:
        EndpointError: the baseline is not ready (checked before the first request).
    """
    run = open_run(plan, results)
    failures: dict[str, str] = {}

    def fail(variant: str, reason: str) -> None:
        failures[variant] = reason
        record_failure(run, variant, "load test", reason)
        say(f"FAILED  {reason}")

    targets = _missing(plan, _endpoints(plan, run, fail), run, prompts, say)
    if targets:
        _measure(plan, targets, run, prompts, say, fail)
    return failures


def _endpoints(plan: Plan, run: Path, fail: Callable[[str, str], None]) -> list[Endpoint]:
    """What the variants' health routes say, without those that are not ready."""
    found = []
    for name in sorted(plan.variants, key=lambda name: name != plan.baseline):
        try:
            found.append(read_endpoint(plan.serving, name))
        except EndpointError as error:
            if name == plan.baseline:
                raise
            fail(name, str(error))
        else:
            # It is served, so whatever kept it from being served is past.
            forget_failures(run, [name], "quantize", "deploy", "load test")
    return found


def _measure(
    plan: Plan,
    targets: Mapping[str, Target],
    run: Path,
    prompts: PromptSource,
    say: Say,
    fail: Callable[[str, str], None],
) -> None:
    """Measure the rounds that are missing of the targets, the variants taking turns."""
    failed: set[str] = set()
    prompts_path = run / PROMPTS_NAME
    prompts.save(prompts_path)
    for number in range(plan.load.rounds):
        for name in round_order(sorted(targets), seed=plan.load.seed, number=number):
            target = targets[name]
            if name in failed or target.read(RoundFile, target.round_file(number, "json")):
                continue
            try:
                _run_round(_job(plan, name, number, prompts_path), plan, target, say)
            except (LoadTestError, EndpointError) as error:
                failed.add(name)
                fail(name, str(error))
            else:
                _finish(plan, target, say)


def round_order(variants: list[str], *, seed: int, number: int) -> list[str]:
    """The order of the variants in round ``number``: random, and the same for the same seed."""
    return random.Random(f"{seed}-{number}").sample(variants, len(variants))


def _missing(
    plan: Plan, endpoints: Sequence[Endpoint], run: Path, prompts: PromptSource, say: Say
) -> dict[str, Target]:
    """The variants that have no valid ``load.json`` yet, by name; a void one does not count."""
    missing: dict[str, Target] = {}
    for endpoint in endpoints:
        target = _target(plan, endpoint, run, prompts)
        stored = target.read(LoadFile, target.directory / LOAD_NAME)
        if stored is not None and not stored.saturated:
            say(f"{endpoint.variant}: load test cached")
            continue
        if stored is not None:
            _discard_void(plan, target)
            say(f"{endpoint.variant}: measured again, the load generator was saturated last time")
        outdated = target.outdated_by(LoadFile, target.directory / LOAD_NAME)
        finished = _finish(plan, target, say)
        if not finished:
            missing[endpoint.variant] = target
        if outdated is not None:
            say(f"{endpoint.variant}: {'summed' if finished else 'measured'} again: {outdated}")
    return missing


def _target(plan: Plan, endpoint: Endpoint, run: Path, prompts: PromptSource) -> Target:
    job = _job(plan, endpoint.variant, 0, run / PROMPTS_NAME)
    measured = measured_from(plan, endpoint, job, prompts)
    return Target(
        endpoint=endpoint,
        directory=run / endpoint.variant,
        measured_from=measured,
        summed_from=summed_from(measured),
    )


def _discard_void(plan: Plan, target: Target) -> None:
    """Forget the rounds in which the load generator was the limit; the others stay."""
    (target.directory / LOAD_NAME).unlink()
    for number in range(plan.load.rounds):
        path = target.round_file(number, "json")
        found = target.read(RoundFile, path)
        if found is not None and any(level.client.saturated for level in found.levels):
            path.unlink()


def _job(plan: Plan, variant: str, number: int, prompts: Path) -> Job:
    return Job(
        variant=variant,
        url=plan.serving.url,
        round=number,
        rounds=plan.load.rounds,
        points=points_of(plan.load),
        warmup_s=plan.load.warmup_s,
        duration_s=plan.load.duration_s,
        prompt_tokens=plan.load.prompt_tokens,
        output_tokens=plan.load.output_tokens,
        request_timeout_s=plan.serving.request_timeout_s,
        prompts=prompts,
    )


def _run_round(job: Job, plan: Plan, target: Target, say: Say) -> None:
    """Measure one round and keep it; a round that did not come to its end leaves only its log."""
    target.round_file(job.round, "json").parent.mkdir(parents=True, exist_ok=True)
    started_at, began = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with writing(target.directory / f"locust-round{job.round}.html") as html:
        records, levels = run_locust(
            job,
            html=html,
            log=target.round_file(job.round, "log"),
            on_level=lambda level, seen: say(_progress(job, level, seen)),
        )
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
        inputs_sha256=key_of(target.measured_from),
        made_from=dict(target.measured_from),
        endpoint=_with_most_memory(target.endpoint, after),
        started_at=started_at,
        seconds=time.monotonic() - began,
        locust_version=version("locust"),
        levels=levels,
    )
    write_result(target.round_file(job.round, "json"), result)


def _with_most_memory(before: Endpoint, after: Endpoint) -> Endpoint:
    most = most_memory([before.memory_bytes, after.memory_bytes])
    return after.model_copy(update={"memory_bytes": most})


def _check(job: Job, records: list[RequestRecord]) -> None:
    """Refuse a round in which a level has no successful request: there is nothing to compare."""
    for point in job.points:
        measured = [r for r in records if r.point == point and r.counted]
        if not any(record.error is None for record in measured):
            reason = measured[0].error if measured else "none was sent in the measuring window"
            raise LoadTestError(
                f"{job.variant}: all {len(measured)} requests at {point.place} failed: {reason}"
            )


def _progress(job: Job, level: LevelEnd, records: list[RequestRecord]) -> str:
    """One finished level in one line."""
    place = f"{job.variant:<24} round {job.round + 1}/{job.rounds}  {level.point.label:<10}"
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
    result = finish(plan.load, target)
    if result is not None and result.saturated:
        say(
            f"{result.variant}: the load generator was saturated, so its figures are void; the "
            "next load test measures them again: give it a quieter machine"
        )
    return result is not None
