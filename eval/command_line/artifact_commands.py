"""``assay quantize``, ``capacity``, ``explore``: artifacts, and what to expect."""

from pathlib import Path
from typing import Annotated

import typer

from eval.command_line.options import (
    BaselineOption,
    ModelOption,
    PlanOption,
    RecipesOption,
    VariantsOption,
    choose,
    from_here,
    given,
    say,
)
from quantize.name_list import names_of


def quantize(
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
    recipes: RecipesOption = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would make, how long and how large.")
    ] = False,
) -> None:
    """Make artifacts; recipes that are named need no engine on this machine."""
    from deploy.machine_check import check_machine
    from deploy.make_artifacts import foretell, make_artifacts, recipe_names
    from deploy.make_environments import make_environments
    from quantize.methods import environments_of

    named = names_of(recipes)
    if named and variants:
        raise typer.BadParameter("--recipes and --variants both say what is made; leave one out")
    chosen = choose(plan, model, variants, baseline).load(say)
    if not named:
        check_machine(chosen)
    if dry_run:
        # It needs no more than can tell a tool's version.
        make_environments(environments_of(named or recipe_names(chosen)))
        foretell(chosen, say, named)
    else:
        make_artifacts(chosen, say, named)


def capacity(
    model: Annotated[
        str,
        typer.Option(
            callback=given, help="A folder, a config.json, a Hugging Face id, or: reference."
        ),
    ] = "reference",
    memory: Annotated[
        str, typer.Option(help="One device of this size, such as 128GiB or 80GB.")
    ] = "",
    context: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens per sequence; 2048, or fewer where the model ends."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Sequences at once.")] = 16,
    recipes: RecipesOption = "",
) -> None:
    """Print the table."""
    from quantize.recipes.catalogue import RECIPES
    from quantize.sizing.capacity_table import capacity_report
    from services.known_models import why_unserved

    report = capacity_report(
        from_here(model),
        memory=memory or None,
        context=context,
        concurrency=concurrency,
        recipes=names_of(recipes) or list(RECIPES),
        why_unserved=why_unserved,
    )
    say(report)


def explore(
    model: Annotated[
        str,
        typer.Option(callback=given, help="A folder, a Hugging Face id, or: reference."),
    ] = "reference",
    output: Annotated[
        Path | None, typer.Option(help="A folder; beside the artifacts without it.")
    ] = None,
    calibration_text: Annotated[
        str, typer.Option(help="A file of texts, bundled, or general; by the model without.")
    ] = "",
) -> None:
    """Measure and draw, or reuse what is there."""
    from deploy.artifacts import ARTIFACTS_DIR
    from eval.explore.run import ExploreOrder
    from eval.explore.run import explore as make_page
    from quantize.calibration.calibration_set import calibration_plan
    from quantize.calibration.default_text import default_text
    from quantize.jobs.workbench import explain_os_error
    from quantize.processors import usable_cpus
    from quantize.source.source_model import fingerprint

    # The explorer takes as much of the text as it needs; the sizes asked here decide nothing.
    named = from_here(calibration_text) or default_text(from_here(model))
    text = calibration_plan(named, samples=1, sequence_length=1)
    order = ExploreOrder(
        model=fingerprint(from_here(model)),
        calibration=text.path,
        artifacts=ARTIFACTS_DIR,
        output=output,
        threads=usable_cpus(),
    )
    try:
        make_page(order, say)
    except OSError as error:
        raise ValueError(explain_os_error(error, order.directory)) from None
