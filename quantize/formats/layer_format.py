"""How one linear layer lies in a file: which tensors, of which types, in which shapes.

A shape is written as the format's own description writes it: ``out, in/2`` (two values to a
byte), ``in*3/32, out`` (3-bit values end to end in words of 32 bits), ``out, groups`` (a scale per
group), and nothing for a single number. What a layer costs and how its tensors are recognised
both follow from that; how its codes become numbers is ``coding``, a function of
in_quantize/decode_formats.py.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from quantize.formats.gguf_types import BlockType
from quantize.formats.safetensors_types import TYPE_BITS

# How a layer's inputs are rounded before they are multiplied (in_quantize/activations.py).
InputKind = Literal[
    "none", "fp8", "fp8-token", "fp8-block", "int8", "int8-token", "nvfp4", "mxfp4", "mxfp8"
]
INPUT_KINDS: tuple[InputKind, ...] = get_args(InputKind)
Axis = Literal["in", "out", "groups", "1"]

# A group size: one scale for all inputs of an output.
WHOLE_ROW = -1
_PART = re.compile(r"(?P<name>\w+)(?P<optional>\??) (?P<kinds>[\w|]+) \((?P<shape>.*)\)")
_DIM = re.compile(r"(in|out|groups|1)(?:\*(\d+))?(?:/(\d+))?")


@dataclass(frozen=True, kw_only=True)
class Dim:
    """One dimension of a stored tensor: ``times`` (exact in binary) the length of an axis."""

    axis: Axis
    times: float


@dataclass(frozen=True, kw_only=True)
class Part:
    """One tensor of a layer; ``kinds`` are the storage types it may have, the usual one first."""

    name: str
    kinds: tuple[str, ...]
    shape: tuple[Dim, ...]
    element_bits: int
    optional: bool = False

    @property
    def density(self) -> float:
        """Stored bits per step of all its axes: of a weight, a group of one output, a row …"""
        return self.element_bits * math.prod(dim.times for dim in self.shape)

    def goes_by(self, *axes: Axis) -> bool:
        """Whether these are its axes, whatever their order."""
        return {dim.axis for dim in self.shape} == set(axes)

    def bits(self, inputs: int, outputs: int, groups: float) -> float:
        """Bits of the whole tensor, for a layer with so many groups along its inputs."""
        lengths = {"in": inputs, "out": outputs, "groups": groups, "1": 1}
        return self.density * math.prod(lengths[dim.axis] for dim in self.shape)


def part(text: str) -> Part:
    """A part as rows write it: name, type, shape, as in ``weight_scale F32 (out, groups)``.

    ``|`` separates the types that a part may have; a ``?`` behind its name says that it may lack.

    Raises:
        ValueError: it is written otherwise, or names a type that safetensors has not.
    """
    found = _PART.fullmatch(text)
    kinds = tuple(found["kinds"].split("|")) if found else ()
    if found is None or not set(kinds) <= TYPE_BITS.keys():
        raise ValueError(f"{text!r} is no part; write it as weight_scale F32 (out, groups)")
    return Part(
        name=found["name"],
        kinds=kinds,
        shape=tuple(_dim(dim) for dim in found["shape"].split(", ") if dim),
        element_bits=TYPE_BITS[kinds[0]],
        optional=bool(found["optional"]),
    )


def _dim(text: str) -> Dim:
    found = _DIM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no dimension; write in, out, groups or 1, as in in*3/32")
    axis, factor, divisor = found.groups()
    return Dim(axis=cast(Axis, axis), times=int(factor or 1) / int(divisor or 1))


@dataclass(frozen=True, kw_only=True)
class LayerFormat:
    """One way to store a linear layer of ``out`` x ``in`` weights; the first part holds the values.

    ``coding`` names its decoder (DECODERS in in_quantize/decode_formats.py); 16-bit layers
    (``plain``) need none, and those of GGUF files (``gguf``) have llama.cpp's own.
    ``group`` is how many inputs are stored together or share a scale: 0 where the recipe chooses
    it (a row of its layers has groups), None where there are no groups. ``inputs`` is how the
    format prescribes that the layer's inputs are rounded.
    """

    name: str
    coding: str
    parts: tuple[Part, ...]
    group: int | None = None
    inputs: InputKind = "none"

    @property
    def value_bits(self) -> float:
        """Bits of one value, scales left out (of a GGUF block: counted, as they lie inside)."""
        return self.parts[0].density

    def bits_per_weight(self, group_size: int | None) -> float:
        """Bits of one weight of an endless layer: values, and what each group of an output has."""
        size = self.group or group_size or WHOLE_ROW
        shared = sum(part.density for part in self.parts if part.goes_by("groups", "out"))
        return self.value_bits + (shared / size if size > 0 else 0)

    def bits(self, inputs: int, outputs: int, group_size: int | None) -> float:
        """Bits of a whole layer, all its parts counted."""
        size = self.group or group_size or WHOLE_ROW
        groups = inputs / size if size > 0 else 1
        return sum(part.bits(inputs, outputs, groups) for part in self.parts)


def layer_format(
    name: str, coding: str, *parts: str, group: int | None = None, inputs: InputKind = "none"
) -> LayerFormat:
    """A layer of a safetensors file, its parts as ``part`` reads them.

    Raises:
        ValueError: a part is not written so.
    """
    read = tuple(part(text) for text in parts)
    return LayerFormat(name=name, coding=coding, parts=read, group=group, inputs=inputs)


def block_layer(block: BlockType) -> LayerFormat:
    """A layer of a GGUF file: one tensor of blocks that lie along the inputs."""
    values = Part(
        name="weight",
        kinds=(block.name,),
        shape=(_dim("out"), _dim(f"in/{block.values}")),
        element_bits=8 * block.size_bytes,
    )
    return LayerFormat(name=block.name, coding="gguf", parts=(values,), group=block.values)
