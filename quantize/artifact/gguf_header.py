"""Read a GGUF file's metadata and tensor list without llama.cpp and without its weights.

Source of the layout: ggml/docs/gguf.md.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from quantize.artifact.stored_tensor import StoredTensor, WeightFileError
from quantize.formats.gguf_types import BLOCK_TYPES, BlockType

GGUF_NAME = "model.gguf"

_BLOCK = re.compile(r"^blk\.\d+\..*\.weight$")
_ROUTER = ".ffn_gate_inp.weight"

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
        except struct.error:
            raise WeightFileError(
                f"{path} is truncated or damaged: its {file_bytes} bytes end within its header; "
                "get it anew"
            ) from None
        except (UnicodeDecodeError, KeyError) as error:
            raise WeightFileError(f"{path} has a damaged GGUF header ({error!r})") from None
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        assert isinstance(alignment, int)
        data_start = -(-stream.tell() // alignment) * alignment
    tensors = tuple(_placed(entry, data_start) for entry in entries)
    end = max((tensor.offset + tensor.size_bytes for tensor in tensors), default=0)
    if end > file_bytes:
        raise WeightFileError(f"{path} is truncated: {file_bytes} bytes, its tensors end at {end}")
    return GgufFile(metadata, tensors)


def linear_gguf_tensors(tensors: Iterable[StoredTensor]) -> list[StoredTensor]:
    """The linear layers among a GGUF file's tensors: what llama.cpp quantizes in the blocks.

    A layer of experts is one tensor (experts, outputs, inputs); the router stays in float32.
    """
    return [
        tensor
        for tensor in tensors
        if len(tensor.shape) >= 2
        and _BLOCK.match(tensor.name)
        and not tensor.name.endswith(_ROUTER)
    ]


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
