"""What the weights of an artifact cost, counted from its files' headers.

"Linear layers" are the two-dimensional weights of the decoder's blocks: what every recipe
quantizes and what is compared between recipes. Embeddings, the output head, routers and norms are
left out, because recipes treat them differently.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quantize.artifact.gguf_header import GGUF_NAME, linear_gguf_tensors, read_gguf
from quantize.artifact.safetensors_header import read_checkpoint
from quantize.artifact.stored_layers import MARKS, PARTS, find_layer
from quantize.artifact.stored_tensor import StoredTensor
from quantize.formats.storage_formats import CACHE_SCALES

_DECODER_BLOCK = re.compile(r"(^|\.)layers\.\d+\.")
# A mixture of experts chooses by a small 16-bit layer that no recipe quantizes.
_ROUTER = re.compile(r"\.(mlp|block_sparse_moe)\.(gate|router)\.weight$")
# GPT-OSS: ``experts.gate_up_proj_blocks`` (experts, out, groups, 16 bytes) beside its ``_scales``.
_FUSED = re.compile(r"(.*\.experts\.\w+)_(blocks|scales)")


@dataclass(frozen=True, kw_only=True)
class LinearLayer:
    """One linear layer as stored: decoded parameters, bytes with scales, and its types.

    ``width`` is how many values a row has, where its type alone decides how it is stored (None:
    it has scales in tensors of their own). ``group_size`` is how many inputs share a scale,
    ``groups`` how many such groups a row has (None where the format leaves no choice).
    """

    name: str
    parameters: int
    size_bytes: int
    kinds: tuple[str, ...]
    width: int | None = None
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
    return measure_tensors(t for group in read_checkpoint(folder).values() for t in group)


def measure_tensors(stored: Iterable[StoredTensor]) -> WeightMeasures:
    """Measure the tensors of a safetensors checkpoint."""
    tensors = [_flattened(tensor) for tensor in stored]
    plain, quantized = _split(tensors)
    layers = [_plain_layer(tensor) for tensor in plain if _is_linear(tensor)]
    layers += [_quantized_layer(name, parts) for name, parts in quantized.items()]
    other = sum(tensor.elements for tensor in plain if not _is_linear(tensor))
    return _measures(tensors, layers, other)


def measure_gguf(folder: Path) -> WeightMeasures:
    """Measure the GGUF file of an artifact.

    Raises:
        WeightFileError: it is missing, truncated or damaged.
    """
    return measure_gguf_tensors(read_gguf(folder / GGUF_NAME).tensors)


def measure_gguf_tensors(tensors: Sequence[StoredTensor]) -> WeightMeasures:
    """Measure the tensors of a GGUF file."""
    linear = linear_gguf_tensors(tensors)
    chosen = {tensor.name for tensor in linear}
    # Tables of rotary frequencies are computed from the configuration: no parameters.
    other = sum(
        tensor.elements
        for tensor in tensors
        if tensor.name not in chosen and not tensor.name.startswith("rope_")
    )
    return _measures(tensors, [_plain_layer(tensor) for tensor in linear], other)


def _flattened(tensor: StoredTensor) -> StoredTensor:
    """A tensor of all experts as one of a layer with all their outputs; others as they are."""
    fused = _FUSED.fullmatch(tensor.name)
    if fused is None or len(tensor.shape) < 3:
        return tensor
    experts, outputs, groups, *block = tensor.shape
    shape = (experts * outputs, groups * math.prod(block))
    return replace(tensor, name=f"{fused[1]}.{fused[2]}", shape=shape)


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


def _split(
    tensors: list[StoredTensor],
) -> tuple[list[StoredTensor], dict[str, dict[str, StoredTensor]]]:
    """Plain tensors, and the parts of quantized layers by layer name; scales of caches are none."""
    owners = {tensor.name.rpartition(".")[::2] for tensor in tensors}
    quantized = {layer for layer, part in owners if part in MARKS}
    plain: list[StoredTensor] = []
    layers: dict[str, dict[str, StoredTensor]] = {}
    for tensor in tensors:
        layer, _, part = tensor.name.rpartition(".")
        if layer in quantized and part in PARTS:
            layers.setdefault(layer, {})[part] = tensor
        elif part not in CACHE_SCALES:
            plain.append(tensor)
    return plain, layers


def _plain_layer(tensor: StoredTensor) -> LinearLayer:
    return LinearLayer(
        name=tensor.name.removesuffix(".weight"),
        parameters=tensor.elements,
        size_bytes=tensor.size_bytes,
        kinds=(tensor.kind,),
        width=tensor.shape[-1],
    )


def _quantized_layer(name: str, parts: Mapping[str, StoredTensor]) -> LinearLayer:
    found = find_layer(parts)
    size_bytes = sum(part.size_bytes for part in parts.values())
    if found is None:
        kinds = tuple(f"{part}:{parts[part].kind}" for part in sorted(parts))
        return LinearLayer(name=name, parameters=0, size_bytes=size_bytes, kinds=kinds)
    chosen = found.format.group == 0
    return LinearLayer(
        name=name,
        parameters=found.inputs * found.outputs,
        size_bytes=size_bytes,
        kinds=(found.format.name,),
        group_size=found.group_size if chosen else None,
        groups=found.groups if chosen else None,
    )
