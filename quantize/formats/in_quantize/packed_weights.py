"""One module's stored tensors decoded: its parameters in float32, and what its input becomes.

The form is recognised by the stored tensors themselves; the configuration only adds what they do
not tell (bits inside an int32, what inputs are rounded to).

Sources of the layouts: modelopt/torch/export/quant_utils.py (to_quantized_weight,
pack_int4_in_uint8); compressed_tensors/compressors (mxfp4-pack-quantized, nvfp4-pack-quantized,
int-quantized, float-quantized); gptqmodel/nn_modules/qlinear (GPTQ, AWQ).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from quantize.formats.in_quantize.activations import InputRounding
from quantize.formats.in_quantize.block_scaled import decode_mxfp4, decode_mxfp8, decode_nvfp4
from quantize.formats.in_quantize.integer_groups import unpack_awq, unpack_gptq
from quantize.formats.in_quantize.minifloat import E4M3
from quantize.formats.in_quantize.schemes import CheckpointError, ModuleScheme, Schemes
from quantize.formats.in_quantize.stored_modules import StoredModule

FLOATS = frozenset({"F32", "F16", "BF16"})
# Scales of inputs and of the KV cache; they stand beside a weight and are no part of it.
_BESIDE = frozenset({"input_scale", "input_global_scale", "pre_quant_scale", "k_scale", "v_scale"})

Parts = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class DecodedModule:
    """``parameters`` by their last name (``weight``, ``bias``), float32; scales of the cache."""

    name: str
    parameters: Mapping[str, Tensor]
    inputs: InputRounding
    key_scale: float | None = None
    value_scale: float | None = None


def decode_module(module: StoredModule, schemes: Schemes) -> DecodedModule:
    """Decode one module; what is stored in 16 or 32 bits is only widened.

    Raises:
        CheckpointError: its tensors are in no form that is understood here.
    """
    parts = {name: part for name, part in module.parts.items() if name not in _BESIDE}
    kinds = {name: module.kinds[name] for name in parts}
    if all(kind in FLOATS for kind in kinds.values()):
        parameters = {name: part.float() for name, part in parts.items()}
        inputs = InputRounding(kind="none")
    else:
        scheme = schemes.of(module.name)
        biases = {name: parts.pop(name).float() for name in ("bias",) if name in parts}
        parameters = {"weight": _decoder(module.name, kinds)(parts, scheme), **biases}
        inputs = _input_rounding(module, scheme)
    return DecodedModule(
        name=module.name,
        parameters=parameters,
        inputs=inputs,
        key_scale=_number(module.parts.get("k_scale")),
        value_scale=_number(module.parts.get("v_scale")),
    )


def _input_rounding(module: StoredModule, scheme: ModuleScheme) -> InputRounding:
    scale = module.parts.get("input_scale")
    if "input_global_scale" in module.parts:
        # compressed-tensors stores the factor that values are multiplied by, not divided.
        scale = 1.0 / module.parts["input_global_scale"].float()
    static = scale is not None and scheme.inputs in {"fp8", "int8", "nvfp4"}
    if scheme.inputs == "unknown" or (scheme.inputs in {"fp8", "int8"} and not static):
        raise CheckpointError(
            f"{module.name}: what its input is rounded to is not understood ({scheme.inputs}, "
            f"tensors {', '.join(sorted(module.parts))})"
        )
    pre_scale = module.parts.get("pre_quant_scale")
    return InputRounding(
        kind=scheme.inputs,
        scale=scale.float().reshape(()) if static and scale is not None else None,
        pre_scale=None if pre_scale is None else pre_scale.float(),
    )


def _number(scale: Tensor | None) -> float | None:
    return None if scale is None else float(scale)


def _decoder(name: str, kinds: Mapping[str, str]) -> Callable[[Parts, ModuleScheme], Tensor]:
    """The decoder of a form, recognised by which tensors there are and how they are stored."""
    integers = {"qweight", "qzeros", "scales"}
    if integers <= kinds.keys() and kinds.keys() <= integers | {"g_idx"}:
        return _grouped_integers
    weight = kinds.get("weight") or kinds.get("weight_packed") or ""
    form = (weight, _scale_kind(kinds.get("weight_scale", "")))
    others = kinds.keys() - {"weight", "weight_packed", "weight_scale"}
    if form in _FORMS and others <= _FORMS_EXTRA.get(form, frozenset()):
        return _FORMS[form]
    listed = ", ".join(f"{part} {kind}" for part, kind in sorted(kinds.items()))
    raise CheckpointError(f"{name}: stored in no form that is understood ({listed})")


def _scale_kind(kind: str) -> str:
    return "float" if kind in FLOATS else kind


def _over_rows(scale: Tensor, weight: Tensor) -> Tensor:
    """A scale per tensor, per expert or per row, shaped to multiply ``(..., out, in)``."""
    scale = scale.float()
    if scale.ndim == weight.ndim and scale.shape[-1] == 1:
        return scale
    rows = scale.ndim > 0 and scale.shape == weight.shape[: scale.ndim]
    return scale.reshape(*scale.shape, *[1] * (weight.ndim - scale.ndim)) if rows else scale


def _fp8(parts: Parts, _: ModuleScheme) -> Tensor:
    weight = E4M3.decode(parts["weight"].view(torch.uint8))
    return weight * _over_rows(parts["weight_scale"], weight)


def _int8(parts: Parts, _: ModuleScheme) -> Tensor:
    weight = parts["weight"].float()
    return weight * _over_rows(parts["weight_scale"], weight)


def _mxfp8(parts: Parts, _: ModuleScheme) -> Tensor:
    return decode_mxfp8(parts["weight"].view(torch.uint8), parts["weight_scale"].view(torch.uint8))


def _packed(parts: Parts) -> Tensor:
    return parts["weight"] if "weight" in parts else parts["weight_packed"]


def _mxfp4(parts: Parts, _: ModuleScheme) -> Tensor:
    return decode_mxfp4(_packed(parts), parts["weight_scale"].view(torch.uint8))


def _nvfp4(parts: Parts, _: ModuleScheme) -> Tensor:
    if "weight_global_scale" in parts:
        # compressed-tensors stores the reciprocal of modelopt's second scale.
        second = 1.0 / parts["weight_global_scale"].float()
    else:
        second = parts["weight_scale_2"].float()
    return decode_nvfp4(_packed(parts), parts["weight_scale"], second)


def _int4_blocks(parts: Parts, _: ModuleScheme) -> Tensor:
    """modelopt's INT4: two output rows per byte, the even one in the low half; a scale per block.

    ``(..., out / 2, in)`` bytes and ``(..., out, blocks)`` scales give ``(..., out, in)``.
    """
    low, high = parts["weight"] & 15, parts["weight"] >> 4
    codes = torch.stack((low, high), dim=-2).flatten(-3, -2).float()
    values = torch.where(codes < 8, codes, codes - 16)
    scale = parts["weight_scale"].float()
    return values * scale.repeat_interleave(values.shape[-1] // scale.shape[-1], dim=-1)


def _grouped_integers(parts: Parts, scheme: ModuleScheme) -> Tensor:
    """GPTQ's and AWQ's integers in groups along the inputs, packed into int32."""
    if scheme.method == "awq":
        return unpack_awq(parts["qweight"], parts["qzeros"], parts["scales"], scheme.bits)
    if scheme.method != "gptq":
        raise CheckpointError(f"packed integers (qweight) under quant_method {scheme.method!r}")
    return unpack_gptq(
        parts["qweight"],
        parts["qzeros"],
        parts["scales"],
        parts.get("g_idx"),
        scheme.bits,
        scheme.zeros,
    )


# By how the weight and its scale are stored; the names of the types are safetensors'.
_FORMS: Mapping[tuple[str, str], Callable[[Parts, ModuleScheme], Tensor]] = {
    ("F8_E4M3", "float"): _fp8,
    ("F8_E4M3", "U8"): _mxfp8,
    ("F8_E4M3", "F8_E8M0"): _mxfp8,
    ("I8", "float"): _int8,
    ("U8", "F8_E4M3"): _nvfp4,
    ("U8", "U8"): _mxfp4,
    ("U8", "F8_E8M0"): _mxfp4,
    ("U8", "float"): _int4_blocks,
}
_FORMS_EXTRA: Mapping[tuple[str, str], frozenset[str]] = {
    ("U8", "F8_E4M3"): frozenset({"weight_scale_2", "weight_global_scale"}),
}
