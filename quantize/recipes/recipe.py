"""What a recipe is: the data that says how weights are quantized and what must come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Parameter = int | float | str | bool
WeightFormat = Literal["safetensors", "gguf"]
Method = Literal["copy", "gptq", "awq", "rtn", "gguf", "modelopt"]
# A group size: one scale for all inputs of an output.
WHOLE_ROW = -1
# The formats in which engines know a checkpoint: which of them an engine loads, and on which
# device, stands in the engine's own specification.
Checkpoint = Literal[
    "bf16",
    "gptq-int8-sym",
    "gptq-int4-sym",
    "gptq-int4-actorder",
    "gptq-int3-sym",
    "gptq-int2-sym",
    "awq-int4",
    "gguf",
    "modelopt-fp8",
    "modelopt-fp8-channel",
    "modelopt-fp8-kv",
    "modelopt-nvfp4",
    "modelopt-nvfp4-w4a16",
    "modelopt-mxfp8",
    "modelopt-int4-awq",
    "modelopt-mixed",
    "compressed-mxfp4",
    "compressed-int8",
]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How weights are quantized.

    ``bits`` is the nominal width of one weight of a quantized layer, scales left out; what a file
    really costs is measured, stands in the artifact's manifest, and must lie within
    ``effective_bits`` (inclusive, scales and zero points counted). ``layer_kinds`` are the storage
    types that a linear layer may have, in the file format's own words. A layer of packed integers
    is known by its layout's name (``GPTQ-INT4``; see packed_layers.py), and so is one that is
    stored as values beside their scales (``NVFP4``; see scaled_layers.py). The inner
    dimension of every linear layer must be a multiple of ``row_multiple``: the group or super-block
    of the format. ``checkpoint`` is the format as engines know it; ``announced`` is what
    ``quantization_config`` in ``config.json`` must say, by dotted path (empty: there must be none).
    ``source`` names the recipe whose artifact is read (None: the source model itself).
    """

    name: str
    method: Method
    checkpoint: Checkpoint
    weight_format: WeightFormat
    bits: float
    effective_bits: tuple[float, float]
    layer_kinds: frozenset[str]
    row_multiple: int = 1
    calibrated: bool = False
    source: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))
    announced: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def group_size(self) -> int | None:
        """How many inputs share a scale (WHOLE_ROW: all), where the recipe chooses that."""
        size = self.parameters.get("group_size")
        return None if size is None else int(size)
