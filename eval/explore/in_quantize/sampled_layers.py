"""The model's own linear layers, read from its files one at a time and sampled.

No model is built here: a tensor of any size costs the memory of the rows that are kept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from quantize.artifact.safetensors_header import read_checkpoint

_MOST_VALUES = 1 << 16
_MOST_TENSORS = 512
_ROUTERS = ("gate", "router")


@dataclass(frozen=True, kw_only=True)
class StoredLayer:
    """A linear layer of a block: its name without ``.weight``, and float32 rows (n, in) of it."""

    name: str
    block: int
    kind: str
    rows: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What the files say before any value is read."""

    parameters: int
    stored_as: str
    layers: tuple[tuple[Path, str, tuple[int, ...]], ...]


def inspect(folder: Path) -> Checkpoint:
    """Count the parameters and find the linear layers.

    Of a model with very many (mixtures of experts), evenly spaced ones are taken.

    Raises:
        WeightFileError, OSError: a file is damaged or missing.
    """
    parameters, kinds, found = 0, set(), []
    for path, tensors in read_checkpoint(folder).items():
        for tensor in tensors:
            parameters += torch.Size(tensor.shape).numel()
            if block_of(tensor.name) is not None and len(tensor.shape) in (2, 3):
                kinds.add(tensor.kind)
                found.append((path, tensor.name, tuple(tensor.shape)))
    step = -(-len(found) // _MOST_TENSORS)
    return Checkpoint(
        parameters=parameters, stored_as=" and ".join(sorted(kinds)), layers=tuple(found[::step])
    )


def stored_layers(checkpoint: Checkpoint) -> Iterator[StoredLayer]:
    """Every layer with evenly spaced rows of it, as many as keep it near 65,000 values.

    Of a stack of experts (experts, out, in), the first is taken.
    """
    for path, name, shape in checkpoint.layers:
        block = block_of(name)
        assert block is not None
        with safe_open(path, framework="pt") as file:
            stored = file.get_slice(name)
            step = max(1, shape[-2] * shape[-1] // _MOST_VALUES)
            rows = stored[0, ::step] if len(shape) == 3 else stored[::step]
        plain = name.removesuffix(".weight")
        yield StoredLayer(name=plain, block=block, kind=plain.rpartition(".")[2], rows=rows.float())


def block_of(name: str) -> int | None:
    """The index of the transformer block that a tensor belongs to, None outside of all blocks.

    Also None for the router of a mixture of experts, which recipes leave alone.
    """
    if name.removesuffix(".weight").rpartition(".")[2] in _ROUTERS:
        return None
    found = re.search(r"\.layers\.(\d+)\.", name)
    return int(found[1]) if found else None
