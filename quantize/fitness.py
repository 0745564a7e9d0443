"""Can this recipe be made of this model? One answer for ``capacity``, the dry run and ``make``."""

from collections.abc import Iterable, Mapping
from typing import Any

from quantize.by_llamacpp.converter_limits import why_no_architecture, why_no_vocabulary
from quantize.formats.gguf_types import SMALLEST_BLOCK
from quantize.recipes.recipe import Recipe
from quantize.source.model_shape import ModelShape
from quantize.source.normalised_folder import PreparedSource
from quantize.source.source_error import SourceModelError


def why_not_of(recipe: Recipe, config: Mapping[str, Any], shape: ModelShape) -> str | None:
    """Why a recipe cannot be made of a model with this configuration; None where it can.

    What needs the model's files, as a tokenizer does, is left out.
    """
    is_gguf = recipe.weight_format == "gguf"
    if is_gguf and (why := why_no_architecture(config, shape)) is not None:
        return why
    # llama.cpp falls back to blocks of 32 values where a row is no multiple of 256.
    multiple = min(recipe.row_multiple, SMALLEST_BLOCK) if is_gguf else recipe.row_multiple
    widths = {linear.inputs: linear for linear in shape.linears}
    for width, linear in sorted(widths.items()):
        if width % multiple:
            return (
                f"the {linear.role} projections have rows of {width} values; "
                f"{recipe.name} needs a multiple of {multiple}"
            )
    return None


def why_not(recipe: Recipe, source: PreparedSource) -> str | None:
    """Why a recipe cannot be made of a model; None where it can."""
    why = why_not_of(recipe, source.reading.config.content, source.reading.shape)
    if why is None and recipe.weight_format == "gguf":
        why = why_no_vocabulary(source)
    return why


def context_limit(recipe: Recipe, shape: ModelShape) -> int | None:
    """The longest text that the artifact's engine computes as the model does; None: any.

    llama.cpp keeps no sliding window for these architectures: up to the window it makes no
    difference, beyond it each token would look at others than it was trained to.
    """
    return shape.window if recipe.weight_format == "gguf" else None


def require_all(recipes: Iterable[Recipe], source: PreparedSource) -> None:
    """Refuse recipes that cannot be made of a model, those for one reason in one line.

    Raises:
        SourceModelError: with the recipes and why.
    """
    reasons: dict[str, list[str]] = {}
    for recipe in recipes:
        if (why := why_not(recipe, source)) is not None:
            reasons.setdefault(why.replace(recipe.name, "the recipe"), []).append(recipe.name)
    if reasons:
        told = (f"{', '.join(names)}: {why}" for why, names in reasons.items())
        raise SourceModelError(f"cannot be made of this model: {'; '.join(told)}")
