"""The formats that the explorer compares, as rows: how each spends its bits and how it rounds.

Where a format leaves the scale to its user, each row takes the plain choice (the largest magnitude
maps to the largest value), so that formats are compared and not searches for better scales.
"""

import torch

from eval.explore.in_quantize.explored_format import Family, Format, Round, positive
from quantize.formats.in_quantize.block_scaled import round_mxfp4, round_mxfp8, round_nvfp4
from quantize.formats.in_quantize.gguf_blocks import Q4_0, Q4_K, Q6_K, Q8_0
from quantize.formats.in_quantize.integer_groups import decode_int_groups, encode_int_groups
from quantize.formats.in_quantize.minifloat import (
    BF16,
    E2M1,
    E2M3,
    E3M2,
    E4M3,
    E5M2,
    FP16,
    MiniFloat,
)
from quantize.formats.layer_format import LayerFormat
from quantize.formats.storage_formats import GGUF_LAYERS, LAYER_FORMATS


def _per_tensor(element: MiniFloat) -> Round:
    """Round with one float32 scale that maps the largest magnitude to the largest value."""
    largest = float(positive(element)[-1])

    def rounded(x: torch.Tensor) -> torch.Tensor:
        scale = x.abs().max() / largest
        return x if scale == 0 else element.round(x / scale) * scale

    return rounded


def _groups(bits: int, size: int, *, symmetric: bool) -> Round:
    def rounded(x: torch.Tensor) -> torch.Tensor:
        codes, scale, zero = encode_int_groups(x, bits, size, symmetric)
        return decode_int_groups(codes, FP16.round(scale), zero)

    return rounded


def _float(name: str, label: str, element: MiniFloat, bits: tuple[int, int, int]) -> Format:
    return Format(
        name=name,
        label=label,
        family="floating point",
        bits=bits,
        block=None,
        scaling="one scale per tensor",
        round=_per_tensor(element),
        element=element,
    )


def _stored(
    layer: LayerFormat,
    family: Family,
    *,
    bits: tuple[int, int, int],
    scaling: str,
    rounded: Round,
    element: MiniFloat | None = None,
) -> Format:
    """A format with a row in the table of storage formats, which says what its scales cost."""
    return Format(
        name=layer.name.lower(),
        label=layer.name,
        family=family,
        bits=bits,
        scale_bits=layer.bits_per_weight(None) - sum(bits),
        block=layer.group,
        scaling=scaling,
        round=rounded,
        element=element,
    )


FORMATS: tuple[Format, ...] = (
    Format(
        name="fp32",
        label="FP32",
        family="floating point",
        bits=(1, 8, 23),
        scaling="no scale",
        round=lambda x: x,
    ),
    Format(
        name="bf16",
        label="BF16",
        family="floating point",
        bits=(1, 8, 7),
        scaling="no scale",
        round=BF16.round,
        element=BF16,
    ),
    Format(
        name="fp16",
        label="FP16",
        family="floating point",
        bits=(1, 5, 10),
        scaling="no scale",
        round=FP16.round,
        element=FP16,
    ),
    _float("fp8-e4m3", "FP8 E4M3", E4M3, (1, 4, 3)),
    _float("fp8-e5m2", "FP8 E5M2", E5M2, (1, 5, 2)),
    _float("fp6-e2m3", "FP6 E2M3", E2M3, (1, 2, 3)),
    _float("fp6-e3m2", "FP6 E3M2", E3M2, (1, 3, 2)),
    _float("fp4-e2m1", "FP4 E2M1", E2M1, (1, 2, 1)),
    _stored(
        LAYER_FORMATS["MXFP8"],
        "scaled blocks",
        bits=(1, 4, 3),
        scaling="a power of two (E8M0) per 32 values",
        rounded=round_mxfp8,
        element=E4M3,
    ),
    _stored(
        LAYER_FORMATS["NVFP4"],
        "scaled blocks",
        bits=(1, 2, 1),
        scaling="FP8 (E4M3) per 16 values, FP32 per tensor",
        rounded=round_nvfp4,
        element=E2M1,
    ),
    _stored(
        LAYER_FORMATS["MXFP4"],
        "scaled blocks",
        bits=(1, 2, 1),
        scaling="a power of two (E8M0) per 32 values",
        rounded=round_mxfp4,
        element=E2M1,
    ),
    Format(
        name="int8-g128",
        label="INT8 g128",
        family="integer groups",
        bits=(1, 0, 7),
        scale_bits=16 / 128,
        block=128,
        scaling="FP16 per 128 values",
        round=_groups(8, 128, symmetric=True),
    ),
    Format(
        name="int4-g32",
        label="INT4 g32",
        family="integer groups",
        bits=(1, 0, 3),
        scale_bits=16 / 32,
        block=32,
        scaling="FP16 per 32 values",
        round=_groups(4, 32, symmetric=True),
    ),
    Format(
        name="int4-g128",
        label="INT4 g128",
        family="integer groups",
        bits=(1, 0, 3),
        scale_bits=16 / 128,
        block=128,
        scaling="FP16 per 128 values",
        round=_groups(4, 128, symmetric=True),
    ),
    Format(
        name="int4-g128-zp",
        label="INT4 g128 + zero",
        family="integer groups",
        bits=(0, 0, 4),
        scale_bits=(16 + 4) / 128,
        block=128,
        scaling="FP16 and a 4-bit zero point per 128 values",
        round=_groups(4, 128, symmetric=False),
    ),
    _stored(
        GGUF_LAYERS["Q8_0"],
        "GGUF",
        bits=(1, 0, 7),
        scaling="FP16 per 32 values",
        rounded=Q8_0.round,
    ),
    _stored(
        GGUF_LAYERS["Q6_K"],
        "GGUF",
        bits=(1, 0, 5),
        scaling="INT8 per 16 values, FP16 per 256",
        rounded=Q6_K.round,
    ),
    _stored(
        GGUF_LAYERS["Q4_K"],
        "GGUF",
        bits=(0, 0, 4),
        scaling="6-bit scale and minimum per 32 values, two FP16 per 256",
        rounded=Q4_K.round,
    ),
    _stored(
        GGUF_LAYERS["Q4_0"],
        "GGUF",
        bits=(1, 0, 3),
        scaling="FP16 per 32 values",
        rounded=Q4_0.round,
    ),
)

BY_NAME = {row.name: row for row in FORMATS}
