"""The recipes of NVIDIA's Model Optimizer (modelopt): FP8, NVFP4, MX formats, INT8, INT4, mixes."""

from types import MappingProxyType

from quantize.formats.storage_format import Parameter
from quantize.formats.storage_formats import FORMATS
from quantize.recipes.recipe import Recipe

# The cheapest mix that a search over whole layers finds may cost what scales of scales add.
_BUDGET_TOLERANCE = 0.1


def _modelopt(
    name: str, form: str, *, most_bits: float | None = None, **parameters: Parameter
) -> Recipe:
    """A Hugging Face checkpoint of NVIDIA's Model Optimizer: values beside their scales.

    The parameters other than ``preset`` (its name of the number format) belong to modelopt_ptq.py.
    """
    return Recipe(
        name=name,
        method="modelopt",
        format=FORMATS[form],
        calibrated=True,
        parameters=MappingProxyType(parameters),
        most_bits=most_bits,
    )


def auto(budget: str) -> Recipe:
    """``auto-<bits>``: each layer in NVFP4, FP8 or 16 bits, so that all together cost ``bits``."""
    return _modelopt(
        f"auto-{budget}",
        "modelopt-mixed",
        most_bits=round(float(budget) + _BUDGET_TOLERANCE, 3),
        preset="auto",
        budget_bits=float(budget),
        score_steps=16,
    )


MODELOPT_RECIPES = (
    _modelopt("fp8", "modelopt-fp8", preset="FP8_DEFAULT_CFG"),
    _modelopt("fp8-per-channel", "modelopt-fp8-channel", preset="FP8_PER_CHANNEL_PER_TOKEN_CFG"),
    _modelopt("fp8-kv", "modelopt-fp8-kv", preset="FP8_DEFAULT_CFG", kv_preset="FP8_KV_CFG"),
    _modelopt("nvfp4", "modelopt-nvfp4", preset="NVFP4_DEFAULT_CFG"),
    _modelopt("nvfp4-w4a16", "modelopt-nvfp4-w4a16", preset="W4A16_NVFP4_CFG"),
    _modelopt("nvfp4-awq", "modelopt-nvfp4", preset="NVFP4_AWQ_LITE_CFG", fold_scales=True),
    _modelopt(
        "nvfp4-qat",
        "modelopt-nvfp4",
        preset="NVFP4_DEFAULT_CFG",
        train_steps=60,
        train_rate=1e-4,
    ),
    _modelopt("mxfp4", "compressed-mxfp4", preset="MXFP4_DEFAULT_CFG"),
    _modelopt("mxfp8", "modelopt-mxfp8", preset="MXFP8_DEFAULT_CFG"),
    _modelopt(
        "int8-w8a8",
        "compressed-int8",
        preset="INT8_SMOOTHQUANT_CFG",
        alpha=0.5,
        fold_scales=True,
        row_inputs=True,
    ),
    _modelopt("int4-awq", "modelopt-int4-awq", preset="INT4_AWQ_CFG"),
    auto("6"),
    auto("4.8"),
)
