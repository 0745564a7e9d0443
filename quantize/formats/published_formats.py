"""Formats that others publish checkpoints in and no recipe here makes: rows as in FORMATS.

``EVERY_FORMAT`` and ``EVERY_LAYER`` are of both tables: what is recognised, proven and served.

Sources: transformers/quantizers (``fp8``: quantizer_finegrained_fp8.py; ``mxfp4``: mxfp4.py, for
GPT-OSS); compressed_tensors/compressors (``pack-quantized``, ``float-quantized``,
``nvfp4-pack-quantized``). What vLLM loads on a CPU: vLLM 0.32, ``kernels/linear/scaled_mm/cpu.py``
and ``mixed_precision/cpu.py``. A GGUF file may mix all of llama.cpp's types: its row is named after
the one that most of its weights have.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from quantize.formats.engine_support import (
    DEVICES,
    EMULATED_ANYWHERE,
    GPUS,
    Devices,
    native_and_weight_only,
    on,
)
from quantize.formats.layer_format import LayerFormat, layer_format
from quantize.formats.storage_format import Parameter, StorageFormat
from quantize.formats.storage_formats import FORMATS, GGUF_LAYERS, LAYER_FORMATS
from quantize.machine import Device

MOSTLY = "gguf-mostly-"
# Types in which no weights lie, but indices and tables.
_NO_WEIGHTS = ("I8", "I16", "I32", "I64", "F64")
_SCALE = "F32|BF16|F16"
_BLOCK = "(out/128, in/128)"

_FP8_ROW = layer_format(
    "FP8-ROW",
    "fp8",
    "weight F8_E4M3 (out, in)",
    f"weight_scale {_SCALE} (out, 1)",
    inputs="fp8-token",
)
_FP8_HF_BLOCK = layer_format(
    "FP8-BLOCK",
    "fp8",
    "weight F8_E4M3 (out, in)",
    f"weight_scale_inv {_SCALE} {_BLOCK}",
    inputs="fp8-block",
)
_FP8_BLOCK = layer_format(
    "FP8-BLOCK-128",
    "fp8",
    "weight F8_E4M3 (out, in)",
    f"weight_scale {_SCALE} {_BLOCK}",
    inputs="fp8-block",
)
_NVFP4 = layer_format(
    "NVFP4-PACKED",
    "nvfp4",
    "weight_packed U8 (out, in/2)",
    "weight_scale F8_E4M3 (out, groups)",
    "weight_global_scale F32 ()",
    "input_global_scale? F32 ()",
    group=16,
    inputs="nvfp4",
)
# All experts of a block in one tensor, their outputs one after the other.
_MXFP4_EXPERTS = layer_format(
    "MXFP4-EXPERTS", "mxfp4", "blocks U8 (out, in/2)", "scales U8 (out, groups)", group=32
)


def _packed(bits: int) -> LayerFormat:
    """Integers along the inputs in words of 32 bits, offset by half their range."""
    return layer_format(
        f"PACKED-INT{bits}",
        "packed",
        f"weight_packed I32 (out, in*{bits}/32)",
        "weight_scale BF16|F16|F32 (out, groups)",
        "weight_shape I64 (1*2)",
        f"weight_zero_point? I32 (out*{bits}/32, groups)",
        "weight_g_idx? I32 (in)",
        group=0,
    )


_FP8_GPUS: tuple[Device, ...] = ("ada", "hopper", "blackwell")
_FP8_ON_VLLM = native_and_weight_only(_FP8_GPUS, ("ampere",))
_BLOCKS_ON_VLLM = native_and_weight_only(("blackwell",), ("ampere", "ada", "hopper"))


def _row(
    name: str,
    layer: LayerFormat,
    vllm: Devices,
    announced: Mapping[str, Parameter],
    *,
    decodes: bool = True,
) -> StorageFormat:
    """A format of one kind of layer; its scales may cost small layers up to a bit."""
    engines = {"vllm": vllm, **({"transformers": EMULATED_ANYWHERE} if decodes else {})}
    return StorageFormat(
        name=name,
        layers=(layer,),
        announced=MappingProxyType(dict(announced)),
        spare_bits=1.0,
        engines=MappingProxyType(engines),
    )


def _compressed(form: str, **weights: Parameter) -> dict[str, Parameter]:
    """What compressed-tensors announces of a checkpoint that has one group of layers."""
    group = {f"config_groups.group_0.weights.{key}": value for key, value in weights.items()}
    return {"quant_method": "compressed-tensors", "format": form, **group}


def _mostly(kind: str) -> StorageFormat:
    """A GGUF file in which most weights are stored as ``kind``."""
    others = [name for name in GGUF_LAYERS if name not in (kind, *_NO_WEIGHTS)]
    return StorageFormat(
        name=f"{MOSTLY}{kind.lower()}",
        layers=tuple(GGUF_LAYERS[name] for name in (kind, *others)),
        weight_format="gguf",
        mix_bits=(1, 32),
        engines=MappingProxyType({"llamacpp": on(*DEVICES)}),
    )


_ALL = (
    _row("fp8-block", _FP8_HF_BLOCK, _FP8_ON_VLLM, {"quant_method": "fp8"}),
    _row(
        "fp8-tensor",
        LAYER_FORMATS["FP8"],
        _FP8_ON_VLLM,
        {"quant_method": "fp8", "activation_scheme": "static"},
    ),
    _row(
        "compressed-fp8-channel",
        _FP8_ROW,
        native_and_weight_only(("cpu", *_FP8_GPUS), ("ampere",)),
        _compressed("float-quantized", strategy="channel", num_bits=8),
    ),
    _row(
        "compressed-fp8-tensor",
        LAYER_FORMATS["FP8"],
        _FP8_ON_VLLM,
        _compressed("float-quantized", strategy="tensor", num_bits=8),
    ),
    _row(
        "compressed-fp8-block",
        _FP8_BLOCK,
        _FP8_ON_VLLM,
        _compressed("float-quantized", strategy="block", num_bits=8),
    ),
    _row(
        "compressed-int4",
        _packed(4),
        on(*DEVICES),
        _compressed("pack-quantized", num_bits=4, type="int"),
    ),
    _row(
        "compressed-int8-weights",
        _packed(8),
        on(*GPUS),
        _compressed("pack-quantized", num_bits=8, type="int"),
    ),
    _row(
        "compressed-nvfp4",
        _NVFP4,
        _BLOCKS_ON_VLLM,
        {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"},
    ),
    # Only its experts are quantized, and transformers' emulation here takes no fused experts.
    _row(
        "gpt-oss-mxfp4", _MXFP4_EXPERTS, _BLOCKS_ON_VLLM, {"quant_method": "mxfp4"}, decodes=False
    ),
    *(_mostly(kind) for kind in GGUF_LAYERS if kind not in _NO_WEIGHTS),
)
PUBLISHED: Mapping[str, StorageFormat] = MappingProxyType({row.name: row for row in _ALL})
EVERY_FORMAT: Mapping[str, StorageFormat] = MappingProxyType({**FORMATS, **PUBLISHED})
EVERY_LAYER: Mapping[str, LayerFormat] = MappingProxyType(
    {
        layer.name: layer
        for row in EVERY_FORMAT.values()
        if row.weight_format == "safetensors"
        for layer in row.layers
    }
)


def announced_row(description: Mapping[str, Any]) -> StorageFormat | None:
    """The format that a ``quantization_config`` announces: of several, the one that says most."""
    rows = [row for row in EVERY_FORMAT.values() if row.is_announced_by(description)]
    return max(rows, key=lambda row: len(row.announced), default=None)
