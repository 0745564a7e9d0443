"""The recipes of NVIDIA's Model Optimizer (modelopt): FP8, NVFP4, MX formats, INT8, INT4, mixes."""

from collections.abc import Mapping
from types import MappingProxyType

from quantize.recipes.recipe import Checkpoint, Parameter, Recipe

# What scales add: NVFP4 one E4M3 per 16 values, MX formats one E8M0 per 32, the others a float32
# per row or per layer, which counts for something only where layers are small.
_NVFP4_BITS = (4.5, 4.6)
_FP8_BITS = (8.0, 8.05)
_PER_ROW_BITS = (8.0, 8.3)
# The cheapest mix that a search over whole layers finds may cost what scales of scales add.
_BUDGET_TOLERANCE = 0.1


def _modelopt(
    name: str,
    checkpoint: Checkpoint,
    effective_bits: tuple[float, float],
    kinds: str,
    announced: Mapping[str, Parameter],
    *,
    bits: float | None = None,
    row_multiple: int = 16,
    **parameters: Parameter,
) -> Recipe:
    """A Hugging Face checkpoint of NVIDIA's Model Optimizer: values beside their scales.

    The parameters other than ``preset`` (its name of the number format) belong to modelopt_ptq.py.
    """
    return Recipe(
        name=name,
        method="modelopt",
        checkpoint=checkpoint,
        weight_format="safetensors",
        bits=int(effective_bits[0]) if bits is None else bits,
        effective_bits=effective_bits,
        layer_kinds=frozenset(kinds.split()),
        row_multiple=row_multiple,
        calibrated=True,
        parameters=MappingProxyType(parameters),
        announced=MappingProxyType(dict(announced)),
    )


def _algorithm(name: str) -> dict[str, Parameter]:
    """How a checkpoint of the Model Optimizer announces itself."""
    return {"quant_method": "modelopt", "quant_algo": name}


def auto(budget: str) -> Recipe:
    """``auto-<bits>``: each layer in NVFP4, FP8 or 16 bits, so that all together cost ``bits``."""
    return _modelopt(
        f"auto-{budget}",
        "modelopt-mixed",
        (_NVFP4_BITS[0], round(float(budget) + _BUDGET_TOLERANCE, 3)),
        "NVFP4 FP8 BF16",
        _algorithm("MIXED_PRECISION"),
        preset="auto",
        budget_bits=float(budget),
        score_steps=16,
    )


MODELOPT_RECIPES = (
    _modelopt("fp8", "modelopt-fp8", _FP8_BITS, "FP8", _algorithm("FP8"), preset="FP8_DEFAULT_CFG"),
    _modelopt(
        "fp8-per-channel",
        "modelopt-fp8-channel",
        _PER_ROW_BITS,
        "FP8-CHANNEL",
        _algorithm("FP8_PER_CHANNEL_PER_TOKEN"),
        preset="FP8_PER_CHANNEL_PER_TOKEN_CFG",
    ),
    _modelopt(
        "fp8-kv",
        "modelopt-fp8-kv",
        _FP8_BITS,
        "FP8",
        _algorithm("FP8") | {"kv_cache_scheme.num_bits": 8, "kv_cache_scheme.type": "float"},
        preset="FP8_DEFAULT_CFG",
        kv_preset="FP8_KV_CFG",
    ),
    _modelopt(
        "nvfp4",
        "modelopt-nvfp4",
        _NVFP4_BITS,
        "NVFP4",
        _algorithm("NVFP4"),
        preset="NVFP4_DEFAULT_CFG",
    ),
    _modelopt(
        "nvfp4-w4a16",
        "modelopt-nvfp4-w4a16",
        _NVFP4_BITS,
        "NVFP4-W4A16",
        _algorithm("W4A16_NVFP4"),
        preset="W4A16_NVFP4_CFG",
    ),
    _modelopt(
        "nvfp4-awq",
        "modelopt-nvfp4",
        _NVFP4_BITS,
        "NVFP4",
        _algorithm("NVFP4"),
        preset="NVFP4_AWQ_LITE_CFG",
        fold_scales=True,
    ),
    _modelopt(
        "nvfp4-qat",
        "modelopt-nvfp4",
        _NVFP4_BITS,
        "NVFP4",
        _algorithm("NVFP4"),
        preset="NVFP4_DEFAULT_CFG",
        train_steps=60,
        train_rate=1e-4,
    ),
    _modelopt(
        "mxfp4",
        "compressed-mxfp4",
        (4.25, 4.25),
        "MXFP4",
        {"quant_method": "compressed-tensors", "format": "mxfp4-pack-quantized"},
        preset="MXFP4_DEFAULT_CFG",
        row_multiple=32,
    ),
    _modelopt(
        "mxfp8",
        "modelopt-mxfp8",
        (8.25, 8.25),
        "MXFP8",
        _algorithm("MXFP8"),
        preset="MXFP8_DEFAULT_CFG",
        row_multiple=32,
    ),
    _modelopt(
        "int8-w8a8",
        "compressed-int8",
        _PER_ROW_BITS,
        "INT8-CHANNEL",
        {"quant_method": "compressed-tensors", "format": "int-quantized"},
        preset="INT8_SMOOTHQUANT_CFG",
        alpha=0.5,
        fold_scales=True,
        row_inputs=True,
    ),
    _modelopt(
        "int4-awq",
        "modelopt-int4-awq",
        (4.25, 4.4),
        "INT4-AWQ",
        _algorithm("W4A16_AWQ"),
        preset="INT4_AWQ_CFG",
        row_multiple=128,
    ),
    auto("6"),
    auto("4.8"),
)
