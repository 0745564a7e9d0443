"""Read what a safetensors file holds without torch and without reading its weights.

Layout: 8 bytes little-endian header length, a JSON header, then the tensors' bytes back to back.
Source: https://github.com/huggingface/safetensors#format
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantize.artifact.stored_tensor import StoredTensor, WeightFileError
from quantize.formats.safetensors_types import TYPE_BITS

INDEX_NAME = "model.safetensors.index.json"
# The format's own limit; a larger number is a file of another kind.
_MAX_HEADER_BYTES = 100_000_000


def read_safetensors(path: Path) -> list[StoredTensor]:
    """The tensors of one file, in the order of their bytes.

    Raises:
        WeightFileError: truncated, or no safetensors file; the message names the file.
        OSError: the file cannot be read.
    """
    file_bytes = path.stat().st_size
    with path.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else -1
        if not 2 <= length <= _MAX_HEADER_BYTES:
            raise WeightFileError(f"{path} is no safetensors file (or it is truncated)")
        if 8 + length > file_bytes:
            raise WeightFileError(f"{path} is truncated: its header ends after the file")
        raw = stream.read(length)
    try:
        header = json.loads(raw)
        tensors = [
            _tensor(name, entry, 8 + length)
            for name, entry in header.items()
            if name != "__metadata__"
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightFileError(f"{path} has a damaged safetensors header ({error!r})") from None
    tensors.sort(key=lambda tensor: tensor.offset)
    end = max((tensor.offset + tensor.size_bytes for tensor in tensors), default=8 + length)
    if end != file_bytes:
        state = "truncated" if end > file_bytes else "longer than its header says"
        raise WeightFileError(f"{path} is {state}: {file_bytes} bytes, its tensors end at {end}")
    return tensors


def _tensor(name: str, entry: Mapping[str, Any], data_start: int) -> StoredTensor:
    """One header entry; raises ValueError where size and shape contradict each other."""
    start, end = entry["data_offsets"]
    shape = tuple(int(size) for size in entry["shape"])
    size_bytes = int(end) - int(start)
    if math.prod(shape) * TYPE_BITS[entry["dtype"]] != size_bytes * 8:
        raise ValueError(f"{name}: {size_bytes} bytes for {entry['dtype']} {list(shape)}")
    return StoredTensor(
        name=name,
        kind=entry["dtype"],
        shape=shape,
        offset=data_start + int(start),
        size_bytes=size_bytes,
    )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint: those its index names, or else ``model.safetensors``.

    Other safetensors files beside them (an ``original/`` copy, an adapter) are not the model's.

    Raises:
        WeightFileError: there are none, or one that the index names is missing.
    """
    index = folder / INDEX_NAME
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightFileError(f"{index} is damaged ({error!r})") from None
    else:
        names = ["model.safetensors"]
    for name in names:
        if not (folder / name).is_file():
            raise WeightFileError(f"{folder} has no {name}: weights as safetensors are needed")
    return [folder / name for name in names]


def read_checkpoint(folder: Path) -> dict[Path, list[StoredTensor]]:
    """The tensors of every weight file of a checkpoint.

    Raises:
        WeightFileError: a file is missing, truncated or damaged.
    """
    return {path: read_safetensors(path) for path in weight_files(folder)}
