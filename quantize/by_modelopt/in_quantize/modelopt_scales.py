"""Fold the scales of AWQ and SmoothQuant into the layers in front, so that none is left over.

Both methods divide a layer's input channels by scales and multiply its weights by them. modelopt
keeps the division as ``pre_quant_scale`` of each layer, which few engines know. Folded into the
norm or the linear layer that makes the input, it costs nothing and the checkpoint is a plain one.
Sources: SmoothQuant, arXiv 2211.10438; AWQ, arXiv 2306.00978.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from modelopt.torch.export.quant_utils import (
    PQS_FUSE_MODULE_MAPPING,
    fuse_prequant_layernorm,
    fuse_prequant_to_linear,
    preprocess_linear_fusion,
)
from modelopt.torch.quantization.model_calib import (
    disable_pre_quant_scale_and_resmooth,
    max_calibrate,
)

# modelopt knows these pairs of Llama and Qwen3; the others are built in the same way.
_MORE_PAIRS = (
    (["MistralAttention", "Qwen2Attention", "MixtralAttention"], ("v_proj", "o_proj")),
    (["MistralMLP", "Qwen2MLP"], ("up_proj", "down_proj")),
)


def fold_scales(model: Any, calibrate: Callable[[Any], None]) -> None:
    """Fold every scale that can be folded, undo the rest, and calibrate the layers anew.

    What cannot be folded: the inputs of a mixture of experts, which its router reads as well.
    ``calibrate`` runs the model over the calibration set.
    """
    with torch.no_grad():
        fuse_prequant_to_linear(_with_all_pairs(model), fuse_grouped_heads=True)
        for norm, linears in _norms_with_readers(model):
            if all(_scaled(linear) for linear in linears):
                preprocess_linear_fusion(linears)
                fuse_prequant_layernorm(norm, linears)
        for linear in model.modules():
            if _scaled(linear):
                disable_pre_quant_scale_and_resmooth(linear, delete_pre_quant_scale=True)
        max_calibrate(model, calibrate)


def _with_all_pairs(model: Any) -> Any:
    for pair in _MORE_PAIRS:
        if pair not in PQS_FUSE_MODULE_MAPPING:
            PQS_FUSE_MODULE_MAPPING.append(pair)
    return model


def _norms_with_readers(model: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Each norm with the linear layers that alone read its output."""
    for layer in model.model.layers:
        attention = layer.self_attn
        yield layer.input_layernorm, [attention.q_proj, attention.k_proj, attention.v_proj]
        mlp: Any = getattr(layer, "mlp", None)
        if hasattr(mlp, "gate_proj"):
            yield layer.post_attention_layernorm, [mlp.gate_proj, mlp.up_proj]


def _scaled(module: Any) -> bool:
    return getattr(getattr(module, "input_quantizer", None), "pre_quant_scale", None) is not None
