"""One module's stored tensors decoded: its parameters in float32, and what its input becomes.

The checkpoint's configuration alone says how (announced_schemes.py), as it does to an engine; the
tensors must then be those of the row. What they themselves show is proven elsewhere, without this
file (artifact/stored_layers.py). ``DECODERS`` has a function for every ``coding`` of the rows.

Sources of the layouts: modelopt/torch/export/quant_utils.py (to_quantized_weight,
pack_int4_in_uint8); compressed_tensors/compressors (mxfp4-pack-quantized, nvfp4-pack-quantized,
int-quantized, float-quantized); gptqmodel/nn_modules/qlinear (GPTQ, AWQ).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from quantize.formats.announced_schemes import CheckpointError, ModuleScheme, Schemes
from quantize.formats.in_quantize.activations import InputRounding
from quantize.formats.in_quantize.block_scaled import decode_mxfp4, decode_mxfp8, decode_nvfp4
from quantize.formats.in_quantize.integer_groups import unpack_awq, unpack_gptq, unpack_rows
from quantize.formats.in_quantize.minifloat import E4M3
from quantize.formats.layer_format import LayerFormat
from quantize.formats.safetensors_types import FLOATS
from quantize.formats.storage_formats import CACHE_SCALES

# Scales of inputs and of the KV cache; they stand beside a weight and are no part of it.
_BESIDE = frozenset({"input_scale", "input_global_scale", "pre_quant_scale", *CACHE_SCALES})
# Producers' other names for the same part, and types that hold the same bits or the same numbers.
_SAME_PARTS = {
    "weight_packed": "weight",
    "weight_global_scale": "weight_scale_2",
    "weight_scale_inv": "weight_scale",
}
_SAME_TYPES = {"F8_E8M0": "U8", "F16": "F32", "BF16": "F32"}

Parts = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class StoredModule:
    """One module's tensors by the last part of their names (``weight``, ``weight_scale`` …)."""

    name: str
    parts: Mapping[str, Tensor]
    kinds: Mapping[str, str]


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
        CheckpointError: what is announced is not understood, or its tensors are others.
    """
    parts = {name: part for name, part in module.parts.items() if name not in _BESIDE}
    kinds = {name: module.kinds[name] for name in parts}
    if all(kind in FLOATS for kind in kinds.values()):
        parameters = {name: part.float() for name, part in parts.items()}
        inputs = InputRounding(kind="none")
    else:
        scheme = schemes.of(module.name)
        biases = {name: parts.pop(name).float() for name in ("bias",) if name in parts}
        parameters = {"weight": _decoder(module.name, kinds, scheme.layer)(parts, scheme), **biases}
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
    if scheme.inputs is None or (scheme.inputs in {"fp8", "int8"} and not static):
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


def _decoder(name: str, kinds: Mapping[str, str], layer: LayerFormat | None) -> "Decoder":
    """The decoder of the announced layer, once the tensors are seen to be those of its row."""
    if layer is not None:
        own = [part for part in layer.parts if part.name not in _BESIDE]
        every = _as_in_row({part.name: part.kinds[0] for part in own})
        needed = _as_in_row({part.name: part.kinds[0] for part in own if not part.optional})
        stored = _as_in_row(kinds)
        if needed.items() <= stored.items() <= every.items():
            return DECODERS[layer.coding]
    announced = "no quantization" if layer is None else layer.name
    listed = ", ".join(f"{part} {kind}" for part, kind in sorted(kinds.items()))
    raise CheckpointError(
        f"{name}: {announced} is announced, stored in no form that is understood as that ({listed})"
    )


def _as_in_row(kinds: Mapping[str, str]) -> dict[str, str]:
    """Parts and their types, whichever of their names a producer uses."""
    return {
        _SAME_PARTS.get(part, part): _SAME_TYPES.get(kind, kind) for part, kind in kinds.items()
    }


def _over_rows(scale: Tensor, weight: Tensor) -> Tensor:
    """A scale per tensor, per expert or per row, shaped to multiply ``(..., out, in)``."""
    scale = scale.float()
    if scale.ndim == weight.ndim and scale.shape[-1] == 1:
        return scale
    rows = scale.ndim > 0 and scale.shape == weight.shape[: scale.ndim]
    return scale.reshape(*scale.shape, *[1] * (weight.ndim - scale.ndim)) if rows else scale


def _fp8(parts: Parts, _: ModuleScheme) -> Tensor:
    weight = E4M3.decode(parts["weight"].view(torch.uint8))
    if "weight_scale_inv" in parts:
        return weight * _over_blocks(parts["weight_scale_inv"], weight)
    scale = parts["weight_scale"]
    if scale.ndim == 2 and 1 < scale.shape[-1] < weight.shape[-1]:
        return weight * _over_blocks(scale, weight)
    return weight * _over_rows(scale, weight)


def _over_blocks(scale: Tensor, weight: Tensor) -> Tensor:
    """A scale per block of rows and inputs, ``(out / b, in / b)``, as a factor of each weight."""
    rows, columns = (size // blocks for size, blocks in zip(weight.shape, scale.shape, strict=True))
    return scale.float().repeat_interleave(rows, 0).repeat_interleave(columns, 1)


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


def _int4_row_pairs(parts: Parts, _: ModuleScheme) -> Tensor:
    """modelopt's INT4: two output rows per byte, the even one in the low half; a scale per block.

    ``(..., out / 2, in)`` bytes and ``(..., out, blocks)`` scales give ``(..., out, in)``.
    """
    low, high = parts["weight"] & 15, parts["weight"] >> 4
    codes = torch.stack((low, high), dim=-2).flatten(-3, -2).float()
    values = torch.where(codes < 8, codes, codes - 16)
    scale = parts["weight_scale"].float()
    return values * scale.repeat_interleave(values.shape[-1] // scale.shape[-1], dim=-1)


def _gptq(parts: Parts, scheme: ModuleScheme) -> Tensor:
    return unpack_gptq(
        parts["qweight"],
        parts["qzeros"],
        parts["scales"],
        parts["g_idx"],
        _bits(scheme),
        "gptq_v2" if scheme.gptq_v2 else "gptq",
    )


def _awq(parts: Parts, scheme: ModuleScheme) -> Tensor:
    return unpack_awq(parts["qweight"], parts["qzeros"], parts["scales"], _bits(scheme))


def _packed_integers(parts: Parts, scheme: ModuleScheme) -> Tensor:
    """Integers of compressed-tensors: see ``unpack_rows``."""
    return unpack_rows(
        parts["weight_packed"],
        parts["weight_scale"],
        parts.get("weight_zero_point"),
        parts.get("weight_g_idx"),
        _bits(scheme),
    )


def _bits(scheme: ModuleScheme) -> int:
    assert scheme.layer is not None
    return int(scheme.layer.value_bits)


Decoder = Callable[[Parts, ModuleScheme], Tensor]
# Unquantized modules need none, and GGUF's blocks are decoded by gguf-py (gguf_weights.py).
DECODERS: Mapping[str, Decoder] = {
    "fp8": _fp8,
    "int8": _int8,
    "nvfp4": _nvfp4,
    "mxfp4": _mxfp4,
    "mxfp8": _mxfp8,
    "int4-row-pairs": _int4_row_pairs,
    "gptq": _gptq,
    "awq": _awq,
    "packed": _packed_integers,
}
