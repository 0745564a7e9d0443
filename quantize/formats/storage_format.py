"""What a row of the table of storage formats says (storage_formats.py)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from quantize.formats.engine_support import Devices
from quantize.formats.layer_format import InputKind, LayerFormat

Parameter = int | float | str | bool
WeightFormat = Literal["safetensors", "gguf"]


@dataclass(frozen=True, kw_only=True)
class StorageFormat:
    """One row: a format of whole checkpoints, as engines know it.

    ``layers`` are the ways in which a linear layer may be stored, the usual one first; more than
    one make a mix, which says in ``mix_bits`` what a weight of it costs. ``engines`` says which of
    them load it, and how each computes it on which device. ``announced`` is what
    ``quantization_config`` in ``config.json`` must say, by dotted path (empty: there must be none);
    ``chosen`` are the keys of it that repeat a parameter of the recipe, where that has it, and
    ``alone`` what it may say instead where all quantized layers of a mix came out alike.
    ``row_unit`` is what kernels or packers want rows to be a multiple of where no group does, and
    ``spare_bits`` what scales per row, input or layer may add to a weight where layers are small.
    ``cache_bytes`` is the size of one stored key or value.
    """

    name: str
    layers: tuple[LayerFormat, ...]
    engines: Mapping[str, Devices]
    weight_format: WeightFormat = "safetensors"
    announced: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))
    chosen: tuple[str, ...] = ()
    alone: tuple[Mapping[str, Parameter], ...] = ()
    row_unit: int = 1
    spare_bits: float = 0.0
    mix_bits: tuple[float, float] | None = None
    cache_bytes: int = 2

    @property
    def bits(self) -> int:
        """The nominal width of one weight of a quantized layer, scales left out."""
        return int(self.layers[0].value_bits)

    @property
    def layer_kinds(self) -> frozenset[str]:
        """The names of the ways in which a linear layer may be stored."""
        return frozenset(layer.name for layer in self.layers)

    @property
    def inputs(self) -> InputKind | None:
        """How inputs are rounded; None where that differs from layer to layer."""
        kinds = {layer.inputs for layer in self.layers}
        return kinds.pop() if len(kinds) == 1 else None

    @property
    def rounds_inputs(self) -> bool:
        """Whether it has layers whose inputs are rounded (an engine may leave that out)."""
        return self.inputs != "none"

    def row_multiple(self, group_size: int | None) -> int:
        """What the inputs of every linear layer must be a multiple of."""
        chosen = group_size if group_size and group_size > 0 else self.row_unit
        return self.layers[0].group or chosen

    def effective_bits(self, group_size: int | None) -> tuple[float, float]:
        """Least and most bits of one weight, scales and zero points counted (inclusive)."""
        if self.mix_bits is not None:
            return self.mix_bits
        layer = self.layers[0]
        most = layer.bits_per_weight(self.row_multiple(group_size)) + self.spare_bits
        return layer.bits_per_weight(group_size), most

    def announcement(self, parameters: Mapping[str, Parameter]) -> Mapping[str, Parameter]:
        """What ``config.json`` must say of an artifact that was made with these parameters."""
        own = {key: parameters[key] for key in self.chosen if key in parameters}
        return MappingProxyType({**self.announced, **own})

    def is_announced_by(self, description: Mapping[str, Any]) -> bool:
        """Whether a ``quantization_config`` says all that this row does; letters' case is free."""
        fixed = {key: value for key, value in self.announced.items() if key not in self.chosen}
        return bool(fixed) and all(
            _folded(announced_at(description, key)) == _folded(value)
            for key, value in fixed.items()
        )


def announced_at(description: Mapping[str, Any], dotted: str) -> Any:
    """The value at ``a.b``, None where there is none."""
    value: Any = description
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
