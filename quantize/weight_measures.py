"""What the weights of an artifact cost, counted from its files' headers.

"Linear layers" are the two-dimensional weights of the decoder's blocks: what every recipe
quantizes and what is compared between recipes. Embeddings, the output head and norms are left
out, because recipes treat them differently.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from quantize.gguf_header import read_gguf
from quantize.safetensors_header import read_checkpoint
from quantize.stored_tensor import StoredTensor

GGUF_NAME = "model.gguf"

_DECODER_BLOCK = re.compile(r"(^|\.)layers\.\d+\.")
_GGUF_BLOCK = re.compile(r"^blk\.\d+\..*\.weight$")
# GPTQ and AWQ checkpoints pack eight 4-bit values into one int32 of ``qweight`` and keep the
# layer's scales, zero points and group indices beside it.
_PACKED_PARTS = ("qweight", "qzeros", "scales", "g_idx")


@dataclass(frozen=True, kw_only=True)
class LinearLayer:
    """One linear layer as stored: decoded parameters, bytes with scales, and its types."""

    name: str
    parameters: int
    size_bytes: int
    kinds: tuple[str, ...]
    packed: bool


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
        """Effective bits of one weight of a linear layer (0 where there are no such layers)."""
        return 8 * self.linear_bytes / self.linear_parameters if self.linear_layers else 0.0


def measure_safetensors(folder: Path, packed_bits: int | None = None) -> WeightMeasures:
    """Measure a safetensors checkpoint; ``packed_bits`` is the width inside ``qweight``.

    Raises:
        WeightFileError: a file is missing, truncated or damaged.
    """
    tensors = [tensor for group in read_checkpoint(folder).values() for tensor in group]
    plain, packed = _split_packed(tensors)
    layers = [_plain_layer(tensor) for tensor in plain if _is_linear(tensor)]
    layers += [_packed_layer(name, parts, packed_bits or 32) for name, parts in packed.items()]
    other = sum(tensor.elements for tensor in plain if not _is_linear(tensor))
    return _measures(tensors, layers, other)


def measure_gguf(folder: Path) -> WeightMeasures:
    """Measure the GGUF file of an artifact.

    Raises:
        WeightFileError: it is missing, truncated or damaged.
    """
    tensors = read_gguf(folder / GGUF_NAME).tensors
    linear = [
        tensor for tensor in tensors if len(tensor.shape) >= 2 and _GGUF_BLOCK.match(tensor.name)
    ]
    chosen = {tensor.name for tensor in linear}
    # Tables of rotary frequencies are computed from the configuration: no parameters.
    other = sum(
        tensor.elements
        for tensor in tensors
        if tensor.name not in chosen and not tensor.name.startswith("rope_")
    )
    return _measures(tensors, [_plain_layer(tensor) for tensor in linear], other)


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
    )


def _split_packed(
    tensors: list[StoredTensor],
) -> tuple[list[StoredTensor], dict[str, dict[str, StoredTensor]]]:
    """Plain tensors, and the parts of packed layers by layer name."""
    plain: list[StoredTensor] = []
    packed: dict[str, dict[str, StoredTensor]] = {}
    for tensor in tensors:
        layer, _, part = tensor.name.rpartition(".")
        if part in _PACKED_PARTS:
            packed.setdefault(layer, {})[part] = tensor
        else:
            plain.append(tensor)
    return plain, packed


def _plain_layer(tensor: StoredTensor) -> LinearLayer:
    return LinearLayer(
        name=tensor.name.removesuffix(".weight"),
        parameters=tensor.elements,
        size_bytes=tensor.size_bytes,
        kinds=(tensor.kind,),
        packed=False,
    )


def _packed_layer(name: str, parts: Mapping[str, StoredTensor], bits: int) -> LinearLayer:
    values = parts["qweight"].elements * (32 // bits) if "qweight" in parts else 0
    return LinearLayer(
        name=name,
        parameters=values,
        size_bytes=sum(part.size_bytes for part in parts.values()),
        kinds=tuple(parts[part].kind for part in _PACKED_PARTS if part in parts),
        packed={"qweight", "qzeros", "scales"} <= parts.keys(),
    )
