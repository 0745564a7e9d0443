"""How many bytes a model's weights take under a recipe, from the shape alone.

One table holds what each checkpoint format adds to the values: scales, zero points, indices.
Sources: the layouts of packed_layers.py and scaled_layers.py, which are proven from stored
tensors; OCP Microscaling Formats 1.0 (E8M0 per 32 values); modelopt's NVFP4 (E4M3 per 16 values
and a float32 per layer); gguf_mix.py for GGUF.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from quantize.recipes.recipe import Checkpoint, Recipe
from quantize.sizing.gguf_mix import BITS, embedding_type, head_type, linear_type
from quantize.source.model_shape import Linear, ModelShape

_WIDE_BYTES = 2
_GGUF_WIDE_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a linear layer stores, in bits: of each value, group of inputs, output, input, layer."""

    value: float
    group: int = 0
    per_group: float = 0
    per_output: float = 0
    per_input: float = 0
    per_layer: float = 0

    def bits(self, linear: Linear) -> float:
        """Bits of all copies of a layer."""
        groups = linear.inputs / self.group if self.group else 0
        one = (
            self.value * linear.inputs * linear.outputs
            + self.per_group * groups * linear.outputs
            + self.per_output * linear.outputs
            + self.per_input * linear.inputs
            + self.per_layer
        )
        return one * linear.copies


_FP8 = Layout(value=8, per_layer=64)
_NVFP4 = Layout(value=4, group=16, per_group=8, per_layer=64)

_LAYOUTS: Mapping[Checkpoint, Layout] = MappingProxyType(
    {
        "bf16": Layout(value=16),
        "modelopt-fp8": _FP8,
        "modelopt-fp8-channel": Layout(value=8, per_output=32),
        "modelopt-fp8-kv": _FP8,
        "modelopt-nvfp4": _NVFP4,
        "modelopt-nvfp4-w4a16": Layout(value=4, group=16, per_group=8, per_layer=32),
        "modelopt-mxfp8": Layout(value=8, group=32, per_group=8),
        "modelopt-int4-awq": Layout(value=4, group=128, per_group=32, per_input=16),
        "compressed-mxfp4": Layout(value=4, group=32, per_group=8),
        "compressed-int8": Layout(value=8, per_output=32),
    }
)


def layout_of(recipe: Recipe, linear: Linear) -> Layout:
    """What a recipe of safetensors stores for a linear layer."""
    if recipe.checkpoint in _LAYOUTS:
        return _LAYOUTS[recipe.checkpoint]
    if recipe.checkpoint == "modelopt-mixed":
        return Layout(value=float(recipe.parameters["budget_bits"]))
    bits, size = int(recipe.parameters["bits"]), int(recipe.parameters["group_size"])
    # GPTQ and AWQ: a 16-bit scale and a zero point per group; GPTQ names each input's group.
    return Layout(
        value=bits,
        group=size if size > 0 else linear.inputs,
        per_group=16 + bits,
        per_input=0 if recipe.checkpoint == "awq-int4" else 32,
    )


def linear_bytes(shape: ModelShape, recipe: Recipe) -> float:
    """Bytes of the linear layers of all blocks, scales and zero points counted."""
    if recipe.checkpoint == "gguf":
        file_type = str(recipe.parameters["file_type"])
        kinds = (linear_type(file_type, linear, shape) for linear in shape.linears)
        return sum(BITS[k] * li.parameters for k, li in zip(kinds, shape.linears, strict=True)) / 8
    return sum(layout_of(recipe, linear).bits(linear) for linear in shape.linears) / 8


def weight_bytes(shape: ModelShape, recipe: Recipe) -> float:
    """Bytes of all weights as stored: linear layers, embedding, output head, norms, routers."""
    if recipe.checkpoint == "gguf":
        file_type = str(recipe.parameters["file_type"])
        tables = BITS[embedding_type(file_type, tied=shape.tied)]
        tables += 0 if shape.tied else BITS[head_type(file_type)]
        small = _GGUF_WIDE_BYTES * (shape.norms + shape.routers)
        return linear_bytes(shape, recipe) + tables * shape.embedding / 8 + small
    copies = 1 if shape.tied else 2
    wide = copies * shape.embedding + shape.norms + shape.routers
    return linear_bytes(shape, recipe) + _WIDE_BYTES * wide


def bits_per_weight(shape: ModelShape, recipe: Recipe) -> float:
    """Effective bits of one weight of a linear layer."""
    return 8 * linear_bytes(shape, recipe) / shape.linear_parameters
