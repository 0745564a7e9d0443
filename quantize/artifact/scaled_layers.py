"""Read from its tensors alone in which format a layer of values beside their scales is stored.

These are the checkpoints of modelopt and of compressed-tensors. Of a layer of ``outputs`` x
``inputs`` weights they keep:

============  =============================  =======================================  ===========
layout        values                         scales                                   also
============  =============================  =======================================  ===========
FP8           weight F8_E4M3 (out, in)       weight_scale F32 ()                      input_scale
FP8-CHANNEL   weight F8_E4M3 (out, in)       weight_scale F32 (out)
NVFP4         weight U8 (out, in / 2)        weight_scale F8_E4M3 (out, in / 16),     input_scale
                                             weight_scale_2 F32 ()
NVFP4-W4A16   the same                       the same
MXFP4         weight_packed U8 (out, in/2)   weight_scale U8 (out, in / 32)
MXFP8         weight F8_E4M3 (out, in)       weight_scale U8 (out, in / 32)
INT8-CHANNEL  weight I8 (out, in)            weight_scale F32 (out, 1)
INT4-AWQ      weight U8 (out / 2, in)        weight_scale F32 (out, in / 128)         (pre_quant_
                                                                                      scale)
============  =============================  =======================================  ===========
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from quantize.artifact.stored_tensor import StoredTensor

SCALE = "weight_scale"
PARTS = ("weight", "weight_packed", SCALE, "weight_scale_2", "input_scale", "pre_quant_scale")
# Scales of a quantized KV cache: no parameters, and of no linear layer.
CACHE_SCALES = ("k_scale", "v_scale")

_PER_LAYER, _PER_ROW = 0, -1


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """One row of the table above.

    ``group`` is how many inputs share a scale (_PER_ROW: all of a row, _PER_LAYER: all of the
    layer); ``others`` gives the kinds of the further parts, ``optional`` those that may lack.
    """

    name: str
    values: str
    values_kind: str
    scale_kind: str
    group: int
    values_per_element: int = 1
    others: Mapping[str, str]
    optional: Mapping[str, str]


def _layout(
    name: str,
    values: str,
    scale_kind: str,
    group: int,
    *,
    packed: int = 1,
    others: str = "",
    optional: str = "",
) -> _Layout:
    """Parts are written ``part:KIND``, separated by spaces."""
    part, kind = values.split(":")
    return _Layout(
        name=name,
        values=part,
        values_kind=kind,
        scale_kind=scale_kind,
        group=group,
        values_per_element=packed,
        others=dict(item.split(":") for item in others.split()),
        optional=dict(item.split(":") for item in optional.split()),
    )


_SECOND = "weight_scale_2:F32"
_LAYOUTS = (
    _layout("FP8", "weight:F8_E4M3", "F32", _PER_LAYER, others="input_scale:F32"),
    _layout("FP8-CHANNEL", "weight:F8_E4M3", "F32", _PER_ROW),
    _layout("NVFP4", "weight:U8", "F8_E4M3", 16, packed=2, others=f"{_SECOND} input_scale:F32"),
    _layout("NVFP4-W4A16", "weight:U8", "F8_E4M3", 16, packed=2, others=_SECOND),
    _layout("MXFP4", "weight_packed:U8", "U8", 32, packed=2),
    _layout("MXFP8", "weight:F8_E4M3", "U8", 32),
    _layout("INT8-CHANNEL", "weight:I8", "F32", _PER_ROW),
    _layout("INT4-AWQ", "weight:U8", "F32", 128, packed=2, optional="pre_quant_scale:BF16"),
)


def find_layout(parts: Mapping[str, StoredTensor]) -> tuple[str, int] | None:
    """The name of the layout and the number of weights of a layer with these parts.

    None where the parts are of no layout, or do not fit together.
    """
    for layout in _LAYOUTS:
        values, scale = parts.get(layout.values), parts.get(SCALE)
        if values is None or scale is None or not _has_kinds(layout, parts):
            continue
        weights = values.elements * layout.values_per_element
        if weights and scale.elements == _scales(layout, values):
            return layout.name, weights
    return None


def _has_kinds(layout: _Layout, parts: Mapping[str, StoredTensor]) -> bool:
    """Whether all parts are there, none is too many, and each is of its kind."""
    needed = {layout.values: layout.values_kind, SCALE: layout.scale_kind, **layout.others}
    known = needed | dict(layout.optional)
    return needed.keys() <= parts.keys() and all(
        known.get(name) == part.kind for name, part in parts.items()
    )


def _scales(layout: _Layout, values: StoredTensor) -> int:
    """How many scales belong to these values."""
    if layout.group == _PER_LAYER:
        return 1
    if layout.group == _PER_ROW:
        return math.prod(values.shape[:-1])
    return values.elements * layout.values_per_element // layout.group
