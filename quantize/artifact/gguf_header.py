"""Read a GGUF file's metadata and tensor list without llama.cpp and without its weights.

Source of the layout: ggml/docs/gguf.md; of the numbers and block sizes:
gguf-py/gguf/constants.py (GGMLQuantizationType, GGML_QUANT_SIZES) of llama.cpp.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from quantize.artifact.stored_tensor import StoredTensor, WeightFileError

MetadataValue = int | float | bool | str | list["MetadataValue"]

_DEFAULT_ALIGNMENT = 32
_STRING, _ARRAY = 8, 9
# Metadata strings are names, tokens and templates; a longer one is a damaged length.
_MAX_STRING_BYTES = 1 << 26
_SCALARS: Mapping[int, str] = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}


@dataclass(frozen=True)
class BlockType:
    """A GGML storage type: ``values`` weights are stored together in ``size_bytes`` bytes."""

    name: str
    values: int
    size_bytes: int


BLOCK_TYPES: Mapping[int, BlockType] = {
    0: BlockType("F32", 1, 4),
    1: BlockType("F16", 1, 2),
    2: BlockType("Q4_0", 32, 18),
    3: BlockType("Q4_1", 32, 20),
    6: BlockType("Q5_0", 32, 22),
    7: BlockType("Q5_1", 32, 24),
    8: BlockType("Q8_0", 32, 34),
    10: BlockType("Q2_K", 256, 84),
    11: BlockType("Q3_K", 256, 110),
    12: BlockType("Q4_K", 256, 144),
    13: BlockType("Q5_K", 256, 176),
    14: BlockType("Q6_K", 256, 210),
    16: BlockType("IQ2_XXS", 256, 66),
    17: BlockType("IQ2_XS", 256, 74),
    18: BlockType("IQ3_XXS", 256, 98),
    19: BlockType("IQ1_S", 256, 50),
    20: BlockType("IQ4_NL", 32, 18),
    21: BlockType("IQ3_S", 256, 110),
    22: BlockType("IQ2_S", 256, 82),
    23: BlockType("IQ4_XS", 256, 136),
    24: BlockType("I8", 1, 1),
    25: BlockType("I16", 1, 2),
    26: BlockType("I32", 1, 4),
    27: BlockType("I64", 1, 8),
    28: BlockType("F64", 1, 8),
    29: BlockType("IQ1_M", 256, 56),
    30: BlockType("BF16", 1, 2),
    34: BlockType("TQ1_0", 256, 54),
    35: BlockType("TQ2_0", 256, 66),
    39: BlockType("MXFP4", 32, 17),
    40: BlockType("NVFP4", 64, 36),
    41: BlockType("Q1_0", 128, 18),
    42: BlockType("Q2_0", 64, 18),
}


@dataclass(frozen=True)
class GgufFile:
    """What a GGUF file says of itself: its metadata, and its tensors in file order."""

    metadata: Mapping[str, MetadataValue]
    tensors: tuple[StoredTensor, ...]


def read_gguf(path: Path) -> GgufFile:
    """Read the header of a GGUF file (version 2 or 3, little-endian).

    Raises:
        WeightFileError: truncated, of another kind, or with a storage type unknown here.
        OSError: the file cannot be read.
    """
    file_bytes = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise WeightFileError(f"{path} is no GGUF file")
        try:
            version, tensor_count, key_count = struct.unpack("<IQQ", stream.read(20))
            if version not in (2, 3):
                raise WeightFileError(f"{path} is GGUF version {version}; 2 and 3 are supported")
            metadata = {_string(stream): _value(stream) for _ in range(key_count)}
            entries = [_entry(stream) for _ in range(tensor_count)]
        except (struct.error, UnicodeDecodeError, KeyError) as error:
            raise WeightFileError(
                f"{path} has a truncated or damaged GGUF header ({error!r})"
            ) from None
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        assert isinstance(alignment, int)
        data_start = -(-stream.tell() // alignment) * alignment
    tensors = tuple(_placed(entry, data_start) for entry in entries)
    end = max((tensor.offset + tensor.size_bytes for tensor in tensors), default=0)
    if end > file_bytes:
        raise WeightFileError(f"{path} is truncated: {file_bytes} bytes, its tensors end at {end}")
    return GgufFile(metadata, tensors)


def _string(stream: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", stream.read(8))
    if length > _MAX_STRING_BYTES:
        raise struct.error(f"a string of {length} bytes")
    raw = stream.read(length)
    if len(raw) != length:
        raise struct.error("a string ends after the file")
    return raw.decode()


def _value(stream: BinaryIO, kind: int | None = None) -> MetadataValue:
    if kind is None:
        (kind,) = struct.unpack("<I", stream.read(4))
    if kind == _STRING:
        return _string(stream)
    if kind == _ARRAY:
        item_kind, count = struct.unpack("<IQ", stream.read(12))
        return [_value(stream, item_kind) for _ in range(count)]
    layout = struct.Struct(_SCALARS[kind])
    value: int | float | bool = layout.unpack(stream.read(layout.size))[0]
    return value


def _entry(stream: BinaryIO) -> tuple[str, tuple[int, ...], BlockType, int]:
    """One tensor entry: name, shape with the outermost dimension first, type, relative offset."""
    name = _string(stream)
    (rank,) = struct.unpack("<I", stream.read(4))
    innermost_first = struct.unpack(f"<{rank}Q", stream.read(8 * rank))
    number, offset = struct.unpack("<IQ", stream.read(12))
    return name, tuple(reversed(innermost_first)), BLOCK_TYPES[number], offset


def _placed(entry: tuple[str, tuple[int, ...], BlockType, int], data_start: int) -> StoredTensor:
    name, shape, block, offset = entry
    tensor = StoredTensor(
        name=name, kind=block.name, shape=shape, offset=data_start + offset, size_bytes=0
    )
    size_bytes = tensor.elements // block.values * block.size_bytes
    return StoredTensor(
        name=name, kind=block.name, shape=shape, offset=tensor.offset, size_bytes=size_bytes
    )
