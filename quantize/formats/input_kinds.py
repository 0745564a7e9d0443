"""How a layer's inputs are rounded before they are multiplied, and which format asks for what."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from quantize.recipes.recipe import Checkpoint

InputKind = Literal[
    "none", "fp8", "fp8-token", "int8", "int8-token", "nvfp4", "mxfp4", "mxfp8", "unknown"
]

# Formats with one way for all layers. A mixed checkpoint's layers are each of one of these.
INPUTS_OF: Mapping[Checkpoint, InputKind] = MappingProxyType(
    {
        "modelopt-fp8": "fp8",
        "modelopt-fp8-channel": "fp8-token",
        "modelopt-fp8-kv": "fp8",
        "modelopt-nvfp4": "nvfp4",
        "modelopt-mxfp8": "mxfp8",
        "compressed-mxfp4": "mxfp4",
        "compressed-int8": "int8-token",
    }
)


def rounds_inputs(checkpoint: Checkpoint) -> bool:
    """Whether the format has layers whose inputs are rounded (an engine may leave that out)."""
    return checkpoint in INPUTS_OF or checkpoint == "modelopt-mixed"
