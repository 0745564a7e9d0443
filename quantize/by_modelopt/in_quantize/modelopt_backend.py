"""modelopt's block formats rounded by our own number formats, on any device.

modelopt rounds NVFP4 and the MX formats in CUDA kernels alone ("amax must be a CUDA tensor"), so
on a CPU neither AWQ's search nor AutoQuantize's scores nor a fine-tune could run. It lets a
quantizer name another backend (``register_quant_backend``); ours serves on GPUs as well, so that
both give the same artifact and no compiler is needed.

Its exporter rounds otherwise than its model in memory, so that one weight in a thousand would be
another: it divides by a scale, in bfloat16 where the scale is one for a whole layer, and the model
multiplies by the inverse in float32; MXFP4 values half-way between two others it rounds down
instead of to even. Three of its functions are replaced, so that the file holds what was judged.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from modelopt.torch.export import quant_utils, unified_export_hf
from modelopt.torch.quantization.nn.modules.tensor_quantizer import (
    is_registered_quant_backend,
    register_quant_backend,
)
from modelopt.torch.quantization.qtensor import MXFP4QTensor
from modelopt.torch.quantization.utils import quantizer_attr_names

from quantize.formats.in_quantize.block_scaled import (
    ScaleRule,
    encode_mxfp4,
    round_mxfp4,
    round_mxfp8,
    round_nvfp4,
)

BACKEND = "assay"
_NVFP4 = ((2, 1), (4, 3))
_MXFP4 = ((2, 1), (8, 0))
_MXFP8 = ((4, 3), (8, 0))

# Inputs are rounded as NVIDIA's kernels do it, so that nothing saturates; MXFP8 weights as well,
# as modelopt's exporter does it. For MXFP4 weights the rule of compressed-tensors, whose form they
# get, loses less (0.4 dB on the reference model).
_INPUT_RULE = ScaleRule.CEIL
_MXFP4_WEIGHT_RULE = ScaleRule.ROUND

_to_quantized_weight = quant_utils.to_quantized_weight
_export_quantized_weight = unified_export_hf._export_quantized_weight


def install() -> None:
    """Register the backend and replace what of the exporter rounds otherwise."""
    if is_registered_quant_backend(BACKEND):
        return
    register_quant_backend(BACKEND, lambda inputs, quantizer: _Rounding.apply(inputs, quantizer))
    unified_export_hf.to_quantized_weight = _quantize_single_precision
    unified_export_hf._export_quantized_weight = _export_rounded
    MXFP4QTensor.quantize = classmethod(_encode_mxfp4)


def with_backend(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a preset whose quantizers with scaled blocks name our backend."""
    changed: dict[str, Any] = copy.deepcopy(dict(config))
    for entry in changed["quant_cfg"]:
        settings = entry.get("cfg")
        if isinstance(settings, dict) and "scale_bits" in (settings.get("block_sizes") or {}):
            settings["backend"] = BACKEND
            is_weight = "weight_quantizer" in entry["quantizer_name"]
            settings["backend_extra_args"] = {"is_weight": is_weight}
    return changed


class _Rounding(torch.autograd.Function):  # type: ignore[misc] # torch has no types here
    """Rounds forward and passes gradients on unchanged (straight through: arXiv 1308.3432).

    Block scales follow the values, so no value is clipped that a gradient should not reach.
    """

    @staticmethod
    def forward(_context: Any, inputs: torch.Tensor, quantizer: Any) -> torch.Tensor:
        """Round ``inputs`` (..., K) to the quantizer's format, in their own dtype."""
        single = inputs.detach().float()
        block = quantizer.block_sizes
        match (tuple(quantizer.num_bits), tuple(block["scale_bits"])):
            case form if form == _NVFP4:
                amax = quantizer._get_amax(inputs).float().amax()
                rounded = round_nvfp4(single, amax=amax)
            case form if form == _MXFP4:
                is_weight = quantizer.backend_extra_args["is_weight"]
                rounded = round_mxfp4(single, _MXFP4_WEIGHT_RULE if is_weight else _INPUT_RULE)
            case form if form == _MXFP8:
                rounded = round_mxfp8(single, _INPUT_RULE)
            case form:
                raise ValueError(f"no block format has element and scale bits {form}")
        return rounded.to(inputs.dtype)

    @staticmethod
    def backward(_context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """The gradient as it is; the quantizer has none."""
        return gradient, None


def _export_rounded(module: Any, dtype: torch.dtype, weight_name: str = "weight") -> None:
    """modelopt's ``_export_quantized_weight`` of a layer whose weights are rounded already.

    A rounded weight lies on a value of the format, far from half-way between two, so that whatever
    the exporter divides by finds the same value again. Formats with scaled blocks need it not.
    """
    quantizer: Any = getattr(module, quantizer_attr_names(weight_name).weight_quantizer, None)
    weight = getattr(module, weight_name)
    if getattr(quantizer, "backend", BACKEND) is None and quantizer.is_enabled:
        with torch.no_grad():
            weight.data = quantizer(weight.float()).to(weight.dtype)
    _export_quantized_weight(module, dtype, weight_name)


def _quantize_single_precision(weight: Any, *arguments: Any, **options: Any) -> Any:
    """modelopt's ``to_quantized_weight`` of a weight (out, in) in float32, rounded once."""
    exact = weight.float() if isinstance(weight, torch.Tensor) else weight
    return _to_quantized_weight(exact, *arguments, **options)


def _encode_mxfp4(
    cls: type[MXFP4QTensor], weight: torch.Tensor, block_size: int | None
) -> tuple[MXFP4QTensor, torch.Tensor]:
    """Packed E2M1 values and E8M0 scales, one per 32 values, as ``MXFP4QTensor.quantize``."""
    assert block_size in (None, 32)
    packed, scale = encode_mxfp4(weight.float(), _MXFP4_WEIGHT_RULE)
    return cls(weight.shape, weight.dtype, packed), scale.reshape(-1, 1)
