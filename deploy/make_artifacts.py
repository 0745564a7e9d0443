"""Have the plan's artifacts made, and scored for what engines are held against.

Every tool runs in an environment and a process of its own (``quantize.jobs``); what calls them
runs here.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR, source_model
from deploy.plan import Plan
from quantize.agreement.expectations import score_artifacts
from quantize.calibration.calibration_set import calibration_plan
from quantize.fitness import why_not, why_not_as_long
from quantize.jobs.workbench import explain_os_error
from quantize.make import make_artifacts as make_ordered
from quantize.method import RecipeError
from quantize.model_source import prepared
from quantize.order import Order
from quantize.processors import usable_cpus
from quantize.recipes.catalogue import find_recipe, with_sources
from quantize.sizing.dry_run import dry_run
from quantize.source.published import published_of, read_published
from quantize.source.source_model import SourceModel
from services.known_models import why_unknown
from services.variants import Variant

Say = Callable[[str], None]


def recipe_names(plan: Plan) -> list[str]:
    """The recipes the plan's variants need, each after those it reads from."""
    wanted = [variant.recipe.name for variant in plan.resolved_variants()]
    return [recipe.name for recipe in with_sources(wanted)]


def order_of(plan: Plan, recipes: Sequence[str]) -> Order:
    """These recipes of the plan's model, as the plan has them made.

    Raises:
        ValueError: there is no such model, or no such calibration text.
    """
    calibration = plan.calibration
    return Order(
        model=source_model(plan),
        recipe_names=tuple(recipes),
        calibration=calibration_plan(
            calibration.text, calibration.samples, calibration.sequence_length
        ),
        artifacts=ARTIFACTS_DIR,
        threads=plan.serving.threads or usable_cpus(),
    )


def make_artifacts(plan: Plan, say: Say, recipes: Sequence[str] = ()) -> None:
    """Make what is missing of the plan's artifacts; finished ones are reused.

    ``recipes`` are made of its model instead of those that its variants need; what engines are
    held against is scored for the latter alone.

    Raises:
        ValueError: a variant cannot be what it is to be, or the disk has no room.
        ToolError, RecipeError: a tool failed.
    """
    if not recipes:
        _refuse_unfit(plan)
    order = order_of(plan, recipes or recipe_names(plan))
    carry_out(order, say)
    if not recipes:
        _score(order, plan, say)


def foretell(plan: Plan, say: Say, recipes: Sequence[str] = ()) -> None:
    """Only say what ``make_artifacts`` would make, how long it would take, and how much room.

    Raises:
        ValueError: what would refuse the making itself.
        ToolError: an environment is missing.
    """
    if not recipes:
        _refuse_unfit(plan)
    with _plainly(ARTIFACTS_DIR):
        dry_run(order_of(plan, recipes or recipe_names(plan)), say)


def carry_out(order: Order, say: Say) -> None:
    """Make what is missing of an order.

    Raises:
        ValueError: the order cannot be carried out, or the disk does not let it be written.
        ToolError, RecipeError: a tool failed.
    """
    with _plainly(order.artifacts):
        make_ordered(order, say)


def _score(order: Order, plan: Plan, say: Say) -> None:
    with _plainly(order.artifacts):
        score_artifacts(order, plan.serving.context_length, say)


@contextmanager
def _plainly(artifacts: Path) -> Iterator[None]:
    """Say in a line what the disk did not allow, and that a stop leaves nothing behind."""
    try:
        yield
    except OSError as error:
        raise ValueError(explain_os_error(error, artifacts)) from None
    except KeyboardInterrupt:
        print("quantize: stopped; nothing unfinished was kept", file=sys.stderr, flush=True)
        raise


def left_out(plan: Plan) -> dict[str, str]:
    """Why variants of the plan cannot be of its model, by name: known before any work.

    Raises:
        ValueError: the model is refused as a whole.
    """
    with _plainly(ARTIFACTS_DIR):
        model = source_model(plan)
        source = prepared(model, ARTIFACTS_DIR)
    found: dict[str, str] = {}
    for variant in plan.resolved_variants():
        reasons = [why_not(recipe, source, model) for recipe in with_sources([variant.recipe.name])]
        shape, context = source.reading.shape, plan.serving.context_length
        reasons.append(why_not_as_long(variant.recipe, shape, context))
        if variant.recipe.as_published:
            reasons.append(_why_unknown(variant, model))
        why = next((reason for reason in reasons if reason is not None), None)
        if why is not None:
            found[variant.name] = why
    return found


def _why_unknown(variant: Variant, model: SourceModel) -> str | None:
    """Why an engine does not serve a published checkpoint as it is."""
    published = published_of(model)
    if published is None or published.published.is_gguf:
        return None
    return why_unknown(variant.engine, read_published(published.published.path).config.content)


def _refuse_unfit(plan: Plan) -> None:
    if reasons := left_out(plan):
        told = (f"{', '.join(names)}: {why}" for why, names in _by_reason(reasons).items())
        raise ValueError(f"{plan.model}: {'; '.join(told)}")


def require_baseline(plan: Plan, unfit: Mapping[str, str]) -> None:
    """Refuse a comparison whose baseline cannot be of the model; ``unfit`` is what is ``left_out``.

    Raises:
        ValueError: with the reason.
    """
    if plan.baseline in unfit:
        raise ValueError(f"the baseline {plan.baseline}: {unfit[plan.baseline]}")


def _by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, why in reasons.items():
        names.setdefault(why, []).append(name)
    return names


def make_what_can_be(plan: Plan, say: Say) -> dict[str, str]:
    """Make the plan's artifacts, without those that fail; returns why variants have none, by name.

    What cannot be made of the model is left out at once; of the others, the baseline's comes first.

    Raises:
        ValueError: the model is refused, or the baseline cannot be made of it.
        RecipeError: the baseline's artifact failed.
        ToolError: transformers cannot score the artifacts.
    """
    unfit = left_out(plan)
    require_baseline(plan, unfit)
    for why, names in _by_reason(unfit).items():
        say(f"left out: {', '.join(names)}: {why}")
    recipe_of = {v.name: v.recipe.name for v in plan.resolved_variants() if v.name not in unfit}
    baseline = recipe_of[plan.baseline]
    recipes = with_sources([baseline, *recipe_of.values()])
    order = order_of(plan, [recipe.name for recipe in recipes])
    failed: dict[str, str] = {}
    for recipe, why in failures(order, say):
        failed[recipe] = why
        if recipe == baseline:
            raise RecipeError(f"the baseline {plan.baseline}: {why}")
    made = tuple(name for name in order.recipe_names if name not in failed)
    _score(replace(order, recipe_names=made), plan, say)
    return unfit | {name: failed[recipe] for name, recipe in recipe_of.items() if recipe in failed}


def failures(order: Order, say: Say) -> Iterator[tuple[str, str]]:
    """Make an order; yields each recipe that failed, as it fails, with the reason in one line.

    All are made together first, as they share a tool's process. Only when that fails each is tried
    alone, without those made from one that failed; what was finished is reused.
    """
    try:
        carry_out(order, say)
    except (ValueError, RuntimeError) as error:
        say(f"{error}; trying each recipe by itself")
    else:
        return
    failed: dict[str, str] = {}
    for recipe in map(find_recipe, order.recipe_names):
        if recipe.source in failed:
            why = f"it is made from {recipe.source}, which failed: {failed[recipe.source]}"
        elif (reason := _failure_alone(order, recipe.name, say)) is not None:
            why = reason
        else:
            continue
        failed[recipe.name] = why
        yield recipe.name, why


def _failure_alone(order: Order, recipe: str, say: Say) -> str | None:
    try:
        carry_out(replace(order, recipe_names=(recipe,)), say)
    except (ValueError, RuntimeError) as error:
        why = " ".join(line.strip() for line in str(error).splitlines()) or repr(error)
        say(f"{recipe:<16} failed: {why}")
        return why
    return None
