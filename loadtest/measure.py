"""The load test of a run: which rounds are missing, in which order, and what they leave behind.

Variants take turns within a round (``legs.py``). A finished round is kept
(``rounds/<k>.parquet``, then ``<k>.json``) and never measured again while its inputs are the same;
``load.json`` comes last.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.artifacts import source_folder
from deploy.plan import Plan
from loadtest.certificate import (
    Certified,
)
from loadtest.certifying import certify_before, keep_certificate
from loadtest.endpoint import as_endpoint
from loadtest.failures import record_failure
from loadtest.inputs import measured_from, summed_from
from loadtest.legs import Ground, Say
from loadtest.load_file import LOAD_NAME, Endpoint, LoadFile, RoundFile
from loadtest.load_kinds import LOAD_KINDS, points_of
from loadtest.load_point import LoadPoint
from loadtest.merging import finish
from loadtest.prompt_texts import read_prompt_texts
from loadtest.prompts import PromptSource, make_prompts
from loadtest.readiness import ready_healths
from loadtest.rounds import run_round
from loadtest.run_directory import RESULTS_DIR, begin_series, open_run
from loadtest.stopping import all_decided, budget_words, differences, noise_of
from loadtest.target import Target, stored_result
from loadtest.validity import why_void
from quantize.calibration.calibration_set import calibration_plan, read_texts

PROMPTS_NAME = "prompts.npz"


def run_load_test(plan: Plan, *, say: Say) -> dict[str, str]:
    """The stage: the plan's prompts, then ``load_test``.

    Raises:
        EndpointError: the baseline is not ready.
        PromptError, SourceModelError, CalibrationError: no prompts can be made.
    """
    return load_test(plan, plan_prompts(plan), say=say, certifying=True)


def plan_prompts(plan: Plan) -> PromptSource:
    """Prompts for the plan's model, of the load's own text or of the calibration text.

    Raises:
        PromptError, SourceModelError, CalibrationError: none can be made.
    """
    load, folder = plan.load, source_folder(plan)
    found = make_prompts(folder, _texts(plan), seed=load.seed, whole=load.whole_texts)
    beside: dict[str, NDArray[np.generic]] = {}
    for part in plan.loads:
        beside |= LOAD_KINDS[part.kind].beside(part, folder, plan.serving.context_length)
    return replace(found, beside=beside)


def _texts(plan: Plan) -> list[str]:
    if plan.load.text is not None:
        return read_prompt_texts(Path(plan.load.text))
    text = plan.calibration
    return read_texts(calibration_plan(text.text, text.samples, text.sequence_length).path)


def load_test(
    plan: Plan,
    prompts: PromptSource,
    *,
    say: Say,
    results: Path = RESULTS_DIR,
    certifying: bool = False,
) -> dict[str, str]:
    """Measure what is missing in the plan's run; returns why variants failed, by name.

    Blocks for the whole load test. ``say`` gets one line per level. A variant that is not ready or
    fails is left out from then on, and the others go on; the reason is kept in the run. When it is
    ``certifying``, the client meets the null server before and after (``certificate.py``).

    Raises:
        EndpointError: the baseline is not ready (checked before the first request).
    """
    run = open_run(plan, results)
    failures: dict[str, str] = {}

    def fail(variant: str, reason: str) -> None:
        failures[variant] = reason
        record_failure(run, variant, "load test", reason)
        say(f"FAILED  {reason}")

    ground = Ground(plan=plan, run=run, prompts=run / PROMPTS_NAME, say=say, fail=fail)
    healths = ready_healths(plan, run, plan.serving.url, "load test", fail)
    endpoints = [as_endpoint(health) for health in healths.values()]
    targets = _missing(ground, endpoints, prompts)
    before: tuple[Certified, ...] = ()
    if targets:
        if certifying:
            before = certify_before(plan, prompts)
        ground = replace(ground, series=begin_series(results, plan.serving.url))
        _measure(ground, targets, prompts, failures)
    if certifying:
        names = [it.variant for it in endpoints if it.variant not in failures]
        keep_certificate(ground, names, frozenset(targets), before, prompts)
    return failures


def _measure(
    ground: Ground,
    targets: Mapping[str, Target],
    prompts: PromptSource,
    failures: Mapping[str, str],
) -> None:
    """Measure the rounds that are missing of the targets, the variants taking turns."""
    prompts.save(ground.prompts)
    plan, began, measured = ground.plan, time.monotonic(), 0
    ground.say(budget_words(plan, None))
    for number in range(plan.load.rounds):
        missing = {
            name: target
            for name, target in targets.items()
            if name not in failures
            and not target.read(RoundFile, target.round_file(number, "json"))
        }
        if missing:
            run_round(ground, missing, number, _points(ground, targets))
            measured += 1
        going = {name: target for name, target in targets.items() if name not in failures}
        left = plan.load.rounds - number - 1
        seen = differences(plan, going, number + 1) if left else {}
        if plan.load.stop_early and all_decided(seen, plan.load.equal_within):
            ground.say(f"every comparison is decided after {number + 1} rounds")
            left = 0
        elif left and missing and (noise := noise_of(seen)) is not None:
            seconds = (time.monotonic() - began) / measured * left
            ground.say(budget_words(plan, noise, seconds))
        for name in going if not left else ():
            _finish(plan, targets[name], ground.say, rounds=number + 1)
        if not left:
            return


def _points(ground: Ground, targets: Mapping[str, Target]) -> Sequence[LoadPoint] | None:
    """To which points of the plan's load the first round of any variant came; None before it."""
    for name in ground.plan.variants:
        path = ground.run / name / "rounds" / "0.json"
        target = targets.get(name)  # what is no target has been measured before
        stored = target.read(RoundFile, path) if target else stored_result(RoundFile, path)
        met = {level.point for level in stored.levels} if stored else set()
        if known := [point for point in points_of(ground.plan.load) if point in met]:
            return known
    return None


def _missing(
    ground: Ground, endpoints: Sequence[Endpoint], prompts: PromptSource
) -> dict[str, Target]:
    """The variants that have no valid ``load.json`` yet, by name; a void one does not count."""
    plan, say = ground.plan, ground.say
    missing: dict[str, Target] = {}
    for endpoint in endpoints:
        target = _target(ground, endpoint, prompts)
        stored = target.read(LoadFile, target.directory / LOAD_NAME)
        if stored is not None and not stored.why_void:
            say(f"{endpoint.variant}: load test cached")
            continue
        if stored is not None:
            _discard_void(plan, target)
            say(f"{endpoint.variant}: measured again, last time {stored.why_void}")
        outdated = target.outdated_by(LoadFile, target.directory / LOAD_NAME)
        finished = _finish(plan, target, say)
        if not finished:
            missing[endpoint.variant] = target
        if outdated is not None:
            say(f"{endpoint.variant}: {'summed' if finished else 'measured'} again: {outdated}")
    return missing


def _target(ground: Ground, endpoint: Endpoint, prompts: PromptSource) -> Target:
    measured = measured_from(ground.plan, endpoint, ground.job(0), prompts)
    return Target(
        endpoint=endpoint,
        directory=ground.run / endpoint.variant,
        measured_from=measured,
        summed_from=summed_from(measured),
    )


def _discard_void(plan: Plan, target: Target) -> None:
    """Forget the rounds that were disturbed; the others stay."""
    (target.directory / LOAD_NAME).unlink()
    for number in range(plan.load.rounds):
        path = target.round_file(number, "json")
        found = target.read(RoundFile, path)
        if found is not None and any(
            why_void(level, plan.load.neighbour_limit)
            for level in found.levels
            if level.point.kind == plan.load.kind
        ):
            path.unlink()


def _finish(plan: Plan, target: Target, say: Say, *, rounds: int | None = None) -> bool:
    """Merge the rounds of a variant if they are complete."""
    result = finish(plan.load, target, stress=plan.stress, rounds=rounds)
    if result is not None and result.why_void:
        say(
            f"{result.variant}: its figures are void: {result.why_void}; the next load test "
            "measures them again: give it a quieter machine"
        )
    return result is not None
