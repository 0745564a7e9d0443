"""How many bytes a model's weights take under a recipe, from the shape alone.

What a layer costs stands in the row of its format (formats/storage_formats.py), which artifacts are
proven against; which layer of a GGUF file gets which type, in gguf_mix.py.
"""

from quantize.formats.gguf_types import GGUF_TYPES, stored_type
from quantize.recipes.recipe import Recipe
from quantize.sizing.gguf_mix import embedding_type, head_type, linear_type
from quantize.source.model_shape import Linear, ModelShape

_WIDE_BYTES = 2
_GGUF_WIDE_BYTES = 4


def _linear_bits(shape: ModelShape, recipe: Recipe, linear: Linear) -> float:
    """Bits of all copies of a linear layer."""
    if recipe.weight_format == "gguf":
        kind = stored_type(linear_type(_file_type(recipe), linear, shape), linear.inputs)
        return GGUF_TYPES[kind].bits_per_weight * linear.parameters
    budget = recipe.parameters.get("budget_bits")
    if budget is not None:
        return float(budget) * linear.parameters
    (layer,) = recipe.format.layers
    return layer.bits(linear.inputs, linear.outputs, recipe.group_size) * linear.copies


def _file_type(recipe: Recipe) -> str:
    return str(recipe.parameters["file_type"])


def linear_bytes(shape: ModelShape, recipe: Recipe) -> float:
    """Bytes of the linear layers of all blocks, scales and zero points counted."""
    return sum(_linear_bits(shape, recipe, linear) for linear in shape.linears) / 8


def weight_bytes(shape: ModelShape, recipe: Recipe) -> float:
    """Bytes of all weights as stored: linear layers, embedding, output head, norms, routers."""
    if recipe.weight_format == "gguf":
        kinds = [embedding_type(_file_type(recipe), tied=shape.tied)]
        kinds += [] if shape.tied else [head_type(_file_type(recipe))]
        stored = (stored_type(kind, shape.hidden) for kind in kinds)
        tables = sum(GGUF_TYPES[kind].bits_per_weight for kind in stored)
        small = _GGUF_WIDE_BYTES * (shape.norms + shape.routers)
        return linear_bytes(shape, recipe) + tables * shape.embedding / 8 + small
    copies = 1 if shape.tied else 2
    wide = copies * shape.embedding + shape.norms + shape.routers
    return linear_bytes(shape, recipe) + _WIDE_BYTES * wide


def bits_per_weight(shape: ModelShape, recipe: Recipe) -> float:
    """Effective bits of one weight of a linear layer."""
    return 8 * linear_bytes(shape, recipe) / shape.linear_parameters
