"""What a linear layer's input is rounded to before it is multiplied, as the format prescribes.

Engines quantize inputs on the fly; rounding and decoding them at once gives the same products.
Sources: modelopt/torch/quantization/tensor_quant.py and qtensor/nvfp4_tensor.py (static scales,
two-level NVFP4); OCP Microscaling Formats 1.0, section 6.3 (MX blocks); vLLM's
vllm/_custom_ops.py, scaled_fp8_quant and scaled_int8_quant (scales per token).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from quantize.formats.in_quantize.block_scaled import (
    ScaleRule,
    round_mxfp4,
    round_mxfp8,
    round_nvfp4,
)
from quantize.formats.in_quantize.minifloat import E4M3
from quantize.formats.layer_format import InputKind

_E4M3_MAX = 448.0
_INT8_MAX = 127.0
# Inputs that share a scale where weights have one per 128 x 128 (DeepSeek-V3, arXiv:2412.19437).
_FP8_BLOCK = 128
_E2M1_MAX = 6.0
# NVIDIA's kernels round a block's scale up, so that no input saturates (vLLM: mxfp8_utils.py).
_MX_RULE = ScaleRule.CEIL


@dataclass(frozen=True, kw_only=True)
class InputRounding:
    """One layer's input as its kernel sees it.

    ``scale`` is the stored static scale (a scalar; None where scales are dynamic);
    ``pre_scale`` (one factor per input channel) is multiplied in first: SmoothQuant's and AWQ's
    inverse of what the weights were multiplied by.
    """

    kind: InputKind
    scale: Tensor | None = None
    pre_scale: Tensor | None = None

    @property
    def changes_inputs(self) -> bool:
        """Whether anything is done at all."""
        return self.kind != "none" or self.pre_scale is not None

    def to(self, device: torch.device) -> "InputRounding":
        """The same with its tensors on a device."""
        scale = None if self.scale is None else self.scale.to(device)
        pre_scale = None if self.pre_scale is None else self.pre_scale.to(device)
        return replace(self, scale=scale, pre_scale=pre_scale)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Round ``(..., in)`` inputs; computed in float32, returned in the inputs' own type."""
        values = inputs
        if self.pre_scale is not None:
            # In the inputs' own type, as the tools and engines do it.
            values = values * self.pre_scale.to(values.dtype)
        if self.kind == "none":
            return values
        return self._rounded(values.float()).to(inputs.dtype)

    def _rounded(self, values: Tensor) -> Tensor:
        if self.kind == "nvfp4":
            amax = None if self.scale is None else self.scale * (_E2M1_MAX * _E4M3_MAX)
            return round_nvfp4(values, amax)
        if self.kind == "mxfp4":
            return round_mxfp4(values, _MX_RULE)
        if self.kind == "mxfp8":
            return round_mxfp8(values, _MX_RULE)
        if self.kind == "fp8-block":
            blocks = values.unflatten(-1, (-1, _FP8_BLOCK))
            scale = self._scale(blocks, _E4M3_MAX)
            return (E4M3.round(blocks * scale.reciprocal()) * scale).flatten(-2)
        if self.kind in {"fp8", "fp8-token"}:
            scale = self._scale(values, _E4M3_MAX)
            return E4M3.round(values * scale.reciprocal()) * scale
        assert self.kind in {"int8", "int8-token"}, self.kind
        scale = self._scale(values, _INT8_MAX)
        # Multiplied by the reciprocal, as tools and kernels do it: it decides ties.
        steps = torch.round(values * scale.reciprocal())
        return torch.clamp(steps, -_INT8_MAX - 1, _INT8_MAX) * scale

    def _scale(self, values: Tensor, largest: float) -> Tensor:
        """The static scale, or the scale that makes each token's largest value the format's."""
        if self.scale is not None:
            return self.scale
        amax = values.abs().amax(dim=-1, keepdim=True)
        return torch.where(amax > 0, amax / largest, torch.ones_like(amax))


@dataclass(frozen=True, kw_only=True)
class CacheRounding:
    """Keys and values as an FP8 (E4M3) cache holds them, with one static scale per layer each."""

    key_scale: float
    value_scale: float

    def __call__(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Round keys (after the rotary embedding) and values of any shape; types are kept."""
        return _e4m3(keys, self.key_scale), _e4m3(values, self.value_scale)


def _e4m3(values: Tensor, scale: float) -> Tensor:
    return (E4M3.round(values.float() / scale) * scale).to(values.dtype)
