"""What the weights of an artifact cost, counted from its files' headers.

"Linear layers" are the two-dimensional weights of the decoder's blocks: what every recipe
quantizes and what is compared between recipes. Embeddings, the output head, routers and norms are
left out, because recipes treat them differently.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.packed_layers import PARTS, find_packing
from quantize.artifact.safetensors_header import read_checkpoint
from quantize.artifact.scaled_layers import CACHE_SCALES, SCALE, find_layout
from quantize.artifact.scaled_layers import PARTS as SCALED_PARTS
from quantize.artifact.stored_tensor import StoredTensor

GGUF_NAME = "model.gguf"

_DECODER_BLOCK = re.compile(r"(^|\.)layers\.\d+\.")
# A mixture of experts chooses by a small 16-bit layer that no recipe quantizes.
_ROUTER = re.compile(r"\.(mlp|block_sparse_moe)\.gate\.weight$|\.ffn_gate_inp\.weight$")
_GGUF_BLOCK = re.compile(r"^blk\.\d+\..*\.weight$")
_GGUF_ROUTER = ".ffn_gate_inp.weight"


@dataclass(frozen=True, kw_only=True)
class LinearLayer:
    """One linear layer as stored: decoded parameters, bytes with scales, and its types.

    ``group_size`` is how many inputs share a scale, ``groups`` how many such groups a row has
    (of packed integers; None of other layers).
    """

    name: str
    parameters: int
    size_bytes: int
    kinds: tuple[str, ...]
    group_size: int | None = None
    groups: int | None = None


@dataclass(frozen=True, kw_only=True)
class WeightMeasures:
    """Counts over all weights of an artifact, and over its linear layers."""

    parameter_count: int
    weight_bytes: int
    tensor_types: Mapping[str, int]
    linear_layers: tuple[LinearLayer, ...]

    @property
    def linear_parameters(self) -> int:
        """Parameters of the linear layers."""
        return sum(layer.parameters for layer in self.linear_layers)

    @property
    def linear_bytes(self) -> int:
        """Bytes of the linear layers as stored, scales and zero points included."""
        return sum(layer.size_bytes for layer in self.linear_layers)

    @property
    def bits_per_weight(self) -> float:
        """Effective bits of one weight of a linear layer (0 where there are none)."""
        return 8 * self.linear_bytes / self.linear_parameters if self.linear_parameters else 0.0


def measure_safetensors(folder: Path) -> WeightMeasures:
    """Measure a safetensors checkpoint.

    Raises:
        WeightFileError: a file is missing, truncated or damaged.
    """
    tensors = [tensor for group in read_checkpoint(folder).values() for tensor in group]
    plain, packed = _split_packed(tensors)
    plain, scaled = _split_scaled(plain)
    layers = [_plain_layer(tensor) for tensor in plain if _is_linear(tensor)]
    layers += [_packed_layer(name, parts) for name, parts in packed.items()]
    layers += [_scaled_layer(name, parts) for name, parts in scaled.items()]
    other = sum(tensor.elements for tensor in plain if not _is_linear(tensor))
    return _measures(tensors, layers, other)


def measure_gguf(folder: Path) -> WeightMeasures:
    """Measure the GGUF file of an artifact.

    Raises:
        WeightFileError: it is missing, truncated or damaged.
    """
    tensors = read_gguf(folder / GGUF_NAME).tensors
    linear = [
        tensor
        for tensor in tensors
        if len(tensor.shape) >= 2
        and _GGUF_BLOCK.match(tensor.name)
        and _ROUTER.search(tensor.name) is None
    ]
    chosen = {tensor.name for tensor in linear}
    # Tables of rotary frequencies are computed from the configuration: no parameters.
    other = sum(
        tensor.elements
        for tensor in tensors
        if tensor.name not in chosen and not tensor.name.startswith("rope_")
    )
    return _measures(tensors, [_plain_layer(tensor) for tensor in linear], other)


def linear_gguf_tensors(tensors: Iterable[StoredTensor]) -> list[StoredTensor]:
    """The linear layers among a GGUF file's tensors: what llama.cpp quantizes in the blocks.

    A layer of experts is one tensor (experts, outputs, inputs); the router stays in float32.
    """
    return [
        tensor
        for tensor in tensors
        if len(tensor.shape) >= 2
        and _GGUF_BLOCK.match(tensor.name)
        and not tensor.name.endswith(_GGUF_ROUTER)
    ]


def _measures(
    tensors: Iterable[StoredTensor], layers: list[LinearLayer], other_parameters: int
) -> WeightMeasures:
    stored = list(tensors)
    return WeightMeasures(
        parameter_count=other_parameters + sum(layer.parameters for layer in layers),
        weight_bytes=sum(tensor.size_bytes for tensor in stored),
        tensor_types=dict(sorted(Counter(tensor.kind for tensor in stored).items())),
        linear_layers=tuple(layers),
    )


def _is_linear(tensor: StoredTensor) -> bool:
    return (
        len(tensor.shape) >= 2
        and tensor.name.endswith(".weight")
        and _DECODER_BLOCK.search(tensor.name) is not None
        and _ROUTER.search(tensor.name) is None
    )


def _split_packed(
    tensors: list[StoredTensor],
) -> tuple[list[StoredTensor], dict[str, dict[str, StoredTensor]]]:
    """Plain tensors, and the parts of packed layers by layer name."""
    plain: list[StoredTensor] = []
    packed: dict[str, dict[str, StoredTensor]] = {}
    for tensor in tensors:
        layer, _, part = tensor.name.rpartition(".")
        if part in PARTS:
            packed.setdefault(layer, {})[part] = tensor
        else:
            plain.append(tensor)
    return plain, packed


def _split_scaled(
    tensors: list[StoredTensor],
) -> tuple[list[StoredTensor], dict[str, dict[str, StoredTensor]]]:
    """Plain tensors, and the parts of layers stored as values beside scales, by layer name."""
    suffix = f".{SCALE}"
    names = {t.name.removesuffix(suffix) for t in tensors if t.name.endswith(suffix)}
    plain: list[StoredTensor] = []
    scaled: dict[str, dict[str, StoredTensor]] = {}
    for tensor in tensors:
        layer, _, part = tensor.name.rpartition(".")
        if layer in names and part in SCALED_PARTS:
            scaled.setdefault(layer, {})[part] = tensor
        elif part not in CACHE_SCALES:
            plain.append(tensor)
    return plain, scaled


def _plain_layer(tensor: StoredTensor) -> LinearLayer:
    return LinearLayer(
        name=tensor.name.removesuffix(".weight"),
        parameters=tensor.elements,
        size_bytes=tensor.size_bytes,
        kinds=(tensor.kind,),
    )


def _packed_layer(name: str, parts: Mapping[str, StoredTensor]) -> LinearLayer:
    packing = find_packing(parts)
    size_bytes = sum(part.size_bytes for part in parts.values())
    if packing is None:
        kinds = tuple(f"{part}:{parts[part].kind}" for part in PARTS if part in parts)
        return LinearLayer(name=name, parameters=0, size_bytes=size_bytes, kinds=kinds)
    return LinearLayer(
        name=name,
        parameters=packing.inputs * packing.outputs,
        size_bytes=size_bytes,
        kinds=(packing.layout,),
        group_size=packing.group_size,
        groups=packing.groups,
    )


def _scaled_layer(name: str, parts: Mapping[str, StoredTensor]) -> LinearLayer:
    found = find_layout(parts)
    kinds = (
        (found[0],) if found else tuple(parts[part].kind for part in SCALED_PARTS if part in parts)
    )
    return LinearLayer(
        name=name,
        parameters=found[1] if found else 0,
        size_bytes=sum(part.size_bytes for part in parts.values()),
        kinds=kinds,
    )
