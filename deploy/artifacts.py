"""Have the plan's artifacts made, by a command that runs each tool in its own environment."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.plan import Plan
from quantize.artifact_paths import artifact_directory
from quantize.fitness import context_limit, why_not
from quantize.jobs.environment import python_of
from quantize.jobs.lifeline import guarded
from quantize.model_source import prepared
from quantize.processors import usable_cpus
from quantize.recipes.catalogue import with_sources
from quantize.root import ROOT
from quantize.source.source_model import SourceModel, fingerprint

ARTIFACTS_DIR = ROOT / "artifacts"
# How the quantize command begins its last words.
MESSAGE = "quantize: "
# Exit codes of a command that was stopped and has not failed.
STOPPED = frozenset({128 + signal.SIGINT, 128 + signal.SIGTERM})


class StageError(RuntimeError):
    """A stage failed and has said why on its own output; this command exits with the same code."""

    def __init__(self, stage: str, code: int) -> None:
        super().__init__(f"{stage} failed (exit code {code}); see its message above")
        self.exit_code = code


def recipe_names(plan: Plan) -> list[str]:
    """The recipes the plan's variants need, each after those it reads from."""
    wanted = [variant.recipe.name for variant in plan.resolved_variants()]
    return [recipe.name for recipe in with_sources(wanted)]


def artifact_of(model: SourceModel, recipe: str) -> Path:
    """Where a recipe's artifact of a model lies."""
    return artifact_directory(ARTIFACTS_DIR, model, recipe)


def source_model(plan: Plan) -> SourceModel:
    """The plan's model, found and fingerprinted.

    Raises:
        ValueError: there is no such model, or it cannot be used.
    """
    return fingerprint(plan.model)


def source_folder(plan: Plan) -> Path:
    """The normalised folder of the plan's model, made where it is not there: what tools read.

    Raises:
        ValueError: there is no such model, or it cannot be used.
    """
    return prepared(source_model(plan), ARTIFACTS_DIR).folder


def make_artifacts(plan: Plan, recipes: Sequence[str] = (), *, dry_run: bool = False) -> None:
    """Make what is missing of the plan's artifacts (or only say so); finished ones are reused.

    ``recipes`` are made of its model instead of those that its variants need; what engines are
    held against is scored for the latter alone.

    Raises:
        ValueError: a variant cannot be what it is to be.
        StageError: the quantize command failed.
    """
    if not recipes and (reasons := left_out(plan)):
        told = (f"{', '.join(names)}: {why}" for why, names in _by_reason(reasons).items())
        raise ValueError(f"{plan.model}: {'; '.join(told)}")
    command = quantize_command(plan, recipes or recipe_names(plan), scored=not recipes)
    if dry_run:
        # Nothing is computed: our own code alone, which every environment runs, answers.
        command = [sys.executable, *command[1:], "--dry-run"]
    run_stage("quantize", command)


def left_out(plan: Plan) -> dict[str, str]:
    """Why variants of the plan cannot be of its model, by name: known before any work.

    Raises:
        ValueError: the model is refused as a whole.
    """
    source = prepared(source_model(plan), ARTIFACTS_DIR)
    found: dict[str, str] = {}
    for variant in plan.resolved_variants():
        limit = context_limit(variant.recipe, source.reading.shape)
        reasons = [why_not(recipe, source) for recipe in with_sources([variant.recipe.name])]
        if limit is not None and plan.serving.context_length > limit:
            reasons.append(
                f"the model has a sliding window of {limit} tokens, which llama.cpp does not keep; "
                f"set serving.context_length to {limit} or less, or leave the GGUF formats out"
            )
        why = next((reason for reason in reasons if reason is not None), None)
        if why is not None:
            found[variant.name] = why
    return found


def _by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, why in reasons.items():
        names.setdefault(why, []).append(name)
    return names


def make_what_can_be(plan: Plan) -> dict[str, str]:
    """Make the plan's artifacts, without those that fail; returns why variants have none, by name.

    What cannot be made of the model is left out at once. The others are made together first; only
    when that fails each is tried alone, the baseline's before the others; what was finished is
    reused, so this repeats nothing but the failure.

    Raises:
        ValueError: the model is refused, or the baseline cannot be made of it.
        StageError: the baseline's artifact failed, or the command was stopped.
    """
    failed_variants = left_out(plan)
    if plan.baseline in failed_variants:
        raise ValueError(f"the baseline {plan.baseline}: {failed_variants[plan.baseline]}")
    for why, names in _by_reason(failed_variants).items():
        print(f"left out: {', '.join(names)}: {why}", file=sys.stderr, flush=True)
    variants = [v for v in plan.resolved_variants() if v.name not in failed_variants]
    recipes = [recipe.name for recipe in with_sources([v.recipe.name for v in variants])]
    try:
        run_stage("quantize", quantize_command(plan, recipes, scored=True))
    except StageError as error:
        if error.exit_code in STOPPED:
            raise
    else:
        return failed_variants
    needed = next(v.recipe.name for v in variants if v.name == plan.baseline)
    failed: dict[str, str] = {}
    for recipe in with_sources([needed, *recipes]):
        reason = (
            f"it is made from {recipe.source}, which failed: {failed[recipe.source]}"
            if recipe.source in failed
            else _make_alone(plan, recipe.name)
        )
        if reason is not None:
            failed[recipe.name] = reason
            if recipe.name == needed:
                raise StageError("quantize", 1)
    made = [recipe for recipe in recipes if recipe not in failed]
    run_stage("quantize", quantize_command(plan, made, scored=True))
    unmade = {v.name: failed[v.recipe.name] for v in variants if v.recipe.name in failed}
    return failed_variants | unmade


def _make_alone(plan: Plan, recipe: str) -> str | None:
    """Make one recipe's artifact; returns the command's own last message when it fails."""
    child = subprocess.Popen(
        guarded(quantize_command(plan, [recipe])),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stderr is not None
    lines: list[str] = []
    with child, _stopped_with_us(child):
        for line in child.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            lines.append(line.strip())
        code = child.wait()
    if code in STOPPED:
        raise StageError("quantize", code)
    starts = [place for place, line in enumerate(lines) if line.startswith(MESSAGE)]
    told = " ".join(lines[starts[-1] if starts else -1 :]).removeprefix(MESSAGE)
    return (told or f"exit code {code}") if code else None


def quantize_command(plan: Plan, recipes: Sequence[str], *, scored: bool = False) -> list[str]:
    """The command line that makes these recipes' artifacts of the plan's model.

    ``scored`` has transformers score them for the plan's context as well (agreement.json).
    """
    options = {
        "--model": plan.model,
        "--recipes": ",".join(recipes),
        "--calibration-text": plan.calibration.text,
        "--samples": str(plan.calibration.samples),
        "--sequence-length": str(plan.calibration.sequence_length),
        "--artifacts": str(ARTIFACTS_DIR),
        "--threads": str(plan.serving.threads or usable_cpus()),
    }
    if scored:
        options["--context-length"] = str(plan.serving.context_length)
    words = [word for option in options.items() for word in option]
    return [str(python_of("control")), "-m", "quantize", "make", *words]


@contextmanager
def _stopped_with_us(child: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    """Take the child along when we are stopped; its guard ends its whole process group."""
    try:
        yield
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise


def run_stage(name: str, command: list[str]) -> None:
    """Run one command of ours under a guard, from the repository's root, its output passed on.

    Raises:
        StageError: it ended with another exit code than 0.
    """
    child = subprocess.Popen(guarded(command), cwd=ROOT, start_new_session=True)
    with _stopped_with_us(child):
        code = child.wait()
    if code:
        raise StageError(name, code)
