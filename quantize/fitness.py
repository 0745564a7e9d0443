"""Can this recipe be made of this model? One answer for ``capacity``, the dry run and ``make``."""

from collections.abc import Iterable, Mapping
from typing import Any

from quantize.by_llamacpp.converter_limits import why_no_architecture, why_no_vocabulary
from quantize.formats.gguf_types import SMALLEST_BLOCK
from quantize.recipes.recipe import NATIVE, Method, Recipe
from quantize.source.model_shape import SHAPES, ModelShape
from quantize.source.normalised_folder import PreparedSource
from quantize.source.published import PublishedModel, published_of
from quantize.source.source_error import SourceModelError
from quantize.source.source_model import SourceModel

# The tools that want experts in every block of a model that has any.
_NO_DENSE_BLOCK: Mapping[Method, str] = {
    "gguf": "llama.cpp",
    "gptq": "GPTQModel",
    "awq": "GPTQModel",
    "rtn": "GPTQModel",
}


def why_not_of(recipe: Recipe, config: Mapping[str, Any], shape: ModelShape) -> str | None:
    """Why a recipe cannot be made of a model with this configuration; None where it can.

    What needs the model's files, as a tokenizer does, is left out.
    """
    if recipe.as_published:
        return None
    if "quantization_config" in config:
        return (
            "the model is quantized already; give the original 16-bit weights (as the plan's "
            "`baseline`, or --baseline)"
        )
    if shape.architecture not in SHAPES:
        return f"{shape.architecture} is not supported (supported: {', '.join(SHAPES)})"
    tool = _NO_DENSE_BLOCK.get(recipe.method)
    if shape.without_experts and tool is not None:
        return (
            f"block {shape.without_experts[0]} of this Qwen3-MoE has no experts (mlp_only_layers, "
            f"decoder_sparse_step), and {tool} wants them in every block"
        )
    if shape.experts > 1 and recipe.method == "modelopt" and _searches_scales(recipe):
        return (
            "NVIDIA's Model Optimizer exports no AWQ scales of experts; take nvfp4, or GPTQModel's "
            "awq-int4-g128"
        )
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
                f"the recipe needs a multiple of {multiple}"
            )
    return None


def _searches_scales(recipe: Recipe) -> bool:
    """Whether the tool's preset searches AWQ's scales, which its export then spreads by module."""
    return "AWQ" in str(recipe.parameters.get("preset"))


def why_not(recipe: Recipe, source: PreparedSource, model: SourceModel | None = None) -> str | None:
    """Why a recipe cannot be made of a model; None where it can."""
    if recipe.as_published:
        return why_not_published(recipe, published_of(model) if model is not None else None)
    why = why_not_of(recipe, source.reading.config.content, source.reading.shape)
    if why is None and recipe.weight_format == "gguf":
        why = why_no_vocabulary(source)
    return why


def why_not_published(recipe: Recipe, model: PublishedModel | None) -> str | None:
    """Why a model is no published checkpoint of a recipe's format; None where it is."""
    if model is None:
        return (
            f"the model has 16-bit weights; {recipe.name} serves a published quantized checkpoint"
        )
    form = model.published.form
    if form == recipe.format.name:
        return None
    return f"the model is published as {form}: take {NATIVE}{form}"


def context_limit(recipe: Recipe, shape: ModelShape) -> int | None:
    """The longest text that the artifact's engine computes as the model does; None: any.

    llama.cpp keeps no sliding window for the architectures that recipes know: up to the window it
    makes no difference, beyond it each token would look at others than it was trained to.
    """
    known = shape.architecture in SHAPES
    return shape.window if known and recipe.weight_format == "gguf" else None


def why_not_as_long(recipe: Recipe, shape: ModelShape, context: int) -> str | None:
    """Why an artifact's engine computes texts of ``context`` tokens otherwise than the model."""
    limit = context_limit(recipe, shape)
    if limit is None or context <= limit:
        return None
    return (
        f"the model has a sliding window of {limit} tokens, which llama.cpp does not keep; take a "
        f"context (serving.context_length) of {limit} or less, or leave the GGUF formats out"
    )


def require_all(
    recipes: Iterable[Recipe], source: PreparedSource, model: SourceModel | None = None
) -> None:
    """Refuse recipes that cannot be made of a model, those for one reason in one line.

    Raises:
        SourceModelError: with the recipes and why.
    """
    reasons: dict[str, list[str]] = {}
    for recipe in recipes:
        if (why := why_not(recipe, source, model)) is not None:
            reasons.setdefault(why, []).append(recipe.name)
    if reasons:
        told = (f"{', '.join(names)}: {why}" for why, names in reasons.items())
        raise SourceModelError(f"cannot be made of this model: {'; '.join(told)}")
