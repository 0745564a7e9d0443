"""What llama.cpp's kernels make of a layer's inputs: integers of 8 bits with a scale per block.

That is the engine's choice and no part of the file. Which blocks go with which weights is in
``vec_dot_type`` of ggml's ``ggml-cpu.c``: ``Q8_K`` (256 values, a scale of 32 bits) beside weights
in blocks of 256, ``Q8_0`` or ``Q8_1`` (32 values, a scale of 16 bits) beside those in blocks of 32.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from quantize.formats.gguf_types import GGUF_TYPES

_LARGEST = 127
_SCALE_OF_16_BITS = 32


@dataclass(frozen=True)
class EightBitInputs:
    """A forward pre-hook that rounds a linear layer's input in blocks of so many values."""

    block: int

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        """``(..., in)``, a multiple of the block."""
        blocks = inputs[0].float().unflatten(-1, (-1, self.block))
        scale = blocks.abs().amax(dim=-1, keepdim=True) / _LARGEST
        steps = torch.round(blocks * torch.where(scale > 0, 1 / scale, 0))
        if self.block == _SCALE_OF_16_BITS:
            scale = scale.half().float()
        return ((steps * scale).flatten(-2).to(inputs[0].dtype),)


def round_inputs(model: Any, kinds: Mapping[str, str]) -> None:
    """Attach it to every linear layer of a model whose weights are stored in blocks.

    ``kinds`` are storage types by the weights' names; an output layer without one shares the
    embedding's.
    """
    shared = kinds.get("model.embed_tokens.weight")
    for name, module in model.named_modules():
        kind = kinds.get(f"{name}.weight", shared if name == "lm_head" else None)
        if isinstance(module, nn.Linear) and kind is not None and GGUF_TYPES[kind].values > 1:
            module.register_forward_pre_hook(EightBitInputs(GGUF_TYPES[kind].values))
