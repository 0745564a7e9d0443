"""Attention over keys and values rounded as the artifact's cache holds them, for plain forwards.

As one of transformers' attention functions: the rounding comes after the rotary embedding, as in
modelopt's own emulation (modelopt/torch/quantization/plugins/huggingface.py).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from quantize.formats.in_quantize.activations import CacheRounding

_NAME = "assay_rounded"
_ROUNDING = "cache_rounding"


def register() -> str:
    """Make transformers know the function; returns its name."""
    AttentionInterface.register(_NAME, _rounded_attention)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    return _NAME


def attach(model: nn.Module, roundings: Mapping[int, CacheRounding]) -> None:
    """Tell a model's attention layers (by number) what to round to."""
    for number, rounding in roundings.items():
        layer = model.get_submodule(f"model.layers.{number}.self_attn")
        setattr(layer, _ROUNDING, rounding)


def _rounded_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    rounding = getattr(module, _ROUNDING, None)
    if rounding is not None:
        key, value = rounding(key, value)
    found: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, mask, **options)
    return found
