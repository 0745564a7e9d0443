"""Read from its tensors' types and shapes alone in which format a layer is stored.

The rows of the tables (formats/storage_formats.py, formats/published_formats.py) say which tensors
a layer of each format has. Nothing that a configuration says is believed here: a row whose
dimensions all follow from one and the same number of inputs, outputs and groups is the layer's, or
none is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from quantize.artifact.stored_tensor import StoredTensor
from quantize.formats.layer_format import Axis, LayerFormat, Part
from quantize.formats.published_formats import EVERY_LAYER

# The parts of all formats; what a 16-bit layer has too makes no layer a quantized one.
PARTS = frozenset(part.name for layer in EVERY_LAYER.values() for part in layer.parts)
MARKS = PARTS - {"weight"}


@dataclass(frozen=True, kw_only=True)
class StoredLayer:
    """One layer as its tensors show it: the format, and the lengths of its axes."""

    format: LayerFormat
    inputs: int
    outputs: int
    groups: int

    @property
    def group_size(self) -> int:
        """Inputs that share a scale."""
        return self.inputs // self.groups


def find_layer(parts: Mapping[str, StoredTensor]) -> StoredLayer | None:
    """The layer that these parts are; None where they are of no format, or do not fit together."""
    for layer in EVERY_LAYER.values():
        if _has_kinds(layer, parts):
            found = _fit(layer, parts)
            if found is not None:
                return found
    return None


def _has_kinds(layer: LayerFormat, parts: Mapping[str, StoredTensor]) -> bool:
    """Whether all parts are there, none is too many, and each is of its kind."""
    known = {part.name: part for part in layer.parts}
    needed = {part.name for part in layer.parts if not part.optional}
    return needed <= parts.keys() <= known.keys() and all(
        stored.kind in known[name].kinds for name, stored in parts.items()
    )


def _fit(layer: LayerFormat, parts: Mapping[str, StoredTensor]) -> StoredLayer | None:
    """Solve the shapes for the lengths of the axes; None where two of them disagree."""
    lengths: dict[Axis, float] = {"1": 1.0}
    for part in layer.parts:
        stored = parts.get(part.name)
        if stored is not None and not _agrees(part, stored, lengths):
            return None
    inputs, outputs, groups = lengths["in"], lengths["out"], lengths.get("groups", 1.0)
    if not all(length >= 1 and length.is_integer() for length in lengths.values()):
        return None
    fixed = layer.group if "groups" in lengths else None
    if inputs % groups or (fixed and inputs != groups * fixed):
        return None
    return StoredLayer(format=layer, inputs=int(inputs), outputs=int(outputs), groups=int(groups))


def _agrees(part: Part, stored: StoredTensor, lengths: dict[Axis, float]) -> bool:
    """Whether a tensor has its part's shape; notes the lengths of axes met for the first time."""
    if not part.shape:
        return stored.elements == 1
    if len(stored.shape) != len(part.shape):
        return False
    return all(
        lengths.setdefault(dim.axis, size / dim.times) == size / dim.times
        for dim, size in zip(part.shape, stored.shape, strict=True)
    )
