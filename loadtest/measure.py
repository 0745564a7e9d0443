"""The load test of a run: which rounds are missing, in which order, and what they leave behind.

Variants take turns within a round (``rounds.py``). A finished round is kept
(``rounds/<k>.parquet``, then ``<k>.json``) and never measured again while its inputs are the same;
``load.json`` comes last.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.artifacts import source_folder
from deploy.plan import Plan
from loadtest.endpoint import EndpointError, read_endpoint
from loadtest.failures import forget_failures, record_failure
from loadtest.inputs import measured_from, summed_from
from loadtest.load_file import LOAD_NAME, Endpoint, LoadFile, RoundFile
from loadtest.merging import finish
from loadtest.prompts import PromptSource, make_prompts
from loadtest.rounds import Ground, Say, run_round
from loadtest.run_directory import RESULTS_DIR, open_run
from loadtest.target import Target
from loadtest.validity import why_void
from quantize.calibration.calibration_set import calibration_plan, read_texts

PROMPTS_NAME = "prompts.npz"


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

    ground = Ground(plan=plan, run=run, prompts=run / PROMPTS_NAME, say=say, fail=fail)
    targets = _missing(ground, _endpoints(plan, run, fail), prompts)
    if targets:
        _measure(ground, targets, prompts, failures)
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
    ground: Ground,
    targets: Mapping[str, Target],
    prompts: PromptSource,
    failures: Mapping[str, str],
) -> None:
    """Measure the rounds that are missing of the targets, the variants taking turns."""
    prompts.save(ground.prompts)
    for number in range(ground.plan.load.rounds):
        missing = {
            name: target
            for name, target in targets.items()
            if name not in failures
            and not target.read(RoundFile, target.round_file(number, "json"))
        }
        if missing:
            run_round(ground, missing, number)
        for name in missing.keys() - failures.keys():
            _finish(ground.plan, targets[name], ground.say)


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
            why_void(level, plan.load.neighbour_limit) for level in found.levels
        ):
            path.unlink()


def _finish(plan: Plan, target: Target, say: Say) -> bool:
    """Merge the rounds of a variant if they are complete."""
    result = finish(plan.load, target)
    if result is not None and result.why_void:
        say(
            f"{result.variant}: its figures are void: {result.why_void}; the next load test "
            "measures them again: give it a quieter machine"
        )
    return result is not None
