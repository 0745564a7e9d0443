"""The options that several sub-commands share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.command_line.word_completion import plan_names, recipe_lists, variant_lists
from quantize.root import ROOT

if TYPE_CHECKING:
    from deploy.plan_choice import PlanChoice


def given(context: typer.Context, option: typer.CallbackParam, value: str) -> str:
    """An option's value; one that was given and names nothing does not count as not given.

    Raises:
        typer.BadParameter: it is empty, as a shell's variable is that was never set.
    """
    source = context.get_parameter_source(option.name or "")
    if source is not None and source.name == "COMMANDLINE" and not value.strip(" ,"):
        raise typer.BadParameter("it names nothing; give a value, or leave the option out")
    return value


PlanOption = Annotated[
    str,
    typer.Option(
        "--plan",
        callback=given,
        help="A plan's file or bundled name.",
        metavar="PLAN",
        autocompletion=plan_names,
    ),
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        callback=given,
        help="A folder, a GGUF file or a Hugging Face id instead of the plan's model.",
        metavar="MODEL",
    ),
]
BaselineOption = Annotated[
    str,
    typer.Option(
        "--baseline",
        callback=given,
        help="The 16-bit weights to compare a published quantized model with.",
        metavar="MODEL",
    ),
]
VariantsOption = Annotated[
    str,
    typer.Option(
        "--variants",
        callback=given,
        help="Only these variants (and the baseline), separated by commas.",
        metavar="NAMES",
        autocompletion=variant_lists,
    ),
]
UrlOption = Annotated[
    str,
    typer.Option(
        "--url",
        callback=given,
        help="The OpenAI base URL of any endpoint; --model is then the name of its model.",
        metavar="URL",
    ),
]
RecipesOption = Annotated[
    str,
    typer.Option(
        "--recipes",
        callback=given,
        help="These recipes, separated by commas.",
        metavar="NAMES",
        autocompletion=recipe_lists,
    ),
]
RayAddressOption = Annotated[
    str,
    typer.Option(
        "--ray-address", callback=given, help="An existing Ray cluster's head.", metavar="HOST:PORT"
    ),
]


def choose(plan: str, model: str, variants: str, baseline: str = "") -> "PlanChoice":
    """What the options name; an empty one was not given."""
    from deploy.plan_choice import PlanChoice

    return PlanChoice(
        plan=from_here(plan) or None,
        model=from_here(model) or None,
        variants=variants or None,
        baseline=from_here(baseline) or None,
    )


def from_here(path: str) -> str:
    """A path as the user meant it, for processes that work in the repository's root.

    A name (of a plan, of a model at Hugging Face) is no path here, and stays.
    """
    if os.path.exists(path) and Path.cwd() != ROOT:
        return os.path.abspath(path)
    return path


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)
