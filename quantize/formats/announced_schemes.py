"""What a checkpoint's ``quantization_config`` says of each module, as rows of the table.

Three producers describe the same things in three ways: modelopt by the name of an algorithm
(``quant_algo``; per layer in ``quantized_layers`` for mixed checkpoints), compressed-tensors by
a format and groups of arguments, GPTQ and AWQ by bits and group size. What a row announces is
found in the table; of what no recipe here makes, a few forms are known beside it.

Sources: modelopt/torch/export/convert_hf_config.py; compressed_tensors/quantization/
quant_args.py and quant_config.py; gptqmodel/quantization/config.py.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from quantize.formats.layer_format import InputKind, LayerFormat
from quantize.formats.published_formats import EVERY_FORMAT, EVERY_LAYER, announced_row


class CheckpointError(ValueError):
    """A checkpoint announces or holds something that is not understood; the message names it."""


# What modelopt can also announce of the layers that rows describe, and how inputs are rounded then.
_OTHER_ALGORITHMS: Mapping[str, tuple[str, InputKind]] = MappingProxyType(
    {
        "nvfp4_awq": ("NVFP4", "nvfp4"),
        "mxfp4": ("MXFP4", "mxfp4"),
        "w8a16": ("INT8-CHANNEL", "none"),
        "w8a8_sq_per_channel": ("INT8-CHANNEL", "int8"),
    }
)
# compressed-tensors' arguments (type, bits, group size) of weights in other formats than the rows'.
_OTHER_GROUPS: Mapping[tuple[Any, ...], str] = MappingProxyType(
    {
        ("float", 8, None): "FP8",
        ("int", 8, None): "INT8-CHANNEL",
        ("float", 4, 16): "NVFP4",
        ("float", 4, 32): "MXFP4",
        ("float", 8, 32): "MXFP8",
    }
)


@dataclass(frozen=True, kw_only=True)
class ModuleScheme:
    """How a module is stored and what its input is rounded to.

    ``layer`` is None where the checkpoint announces no quantization, ``inputs`` where what it says
    of them is not understood; ``gptq_v2`` says that GPTQ's zero points are stored as they are
    (in_quantize/integer_groups.py).
    """

    layer: LayerFormat | None
    inputs: InputKind | None
    gptq_v2: bool = False


class Schemes:
    """The schemes of one checkpoint, by module name."""

    def __init__(self, description: Mapping[str, Any] | None) -> None:
        self._description = description or {}
        self.method = str(self._description.get("quant_method") or "")

    def of(self, module: str) -> ModuleScheme:
        """The scheme of a module that is stored quantized.

        Raises:
            CheckpointError: the algorithm is unknown, or the module belongs to no group.
        """
        if not self.method:
            return ModuleScheme(layer=None, inputs="none")
        if self.method == "modelopt":
            return self._by_algorithm(module)
        if self.method == "compressed-tensors":
            return self._by_group(module)
        layer = _announced_layer(self._description)
        if layer is None:
            raise CheckpointError(
                f"quantization method {self.method!r} is not understood as it is announced (bits "
                f"{self._description.get('bits')}; understood: {_known('quant_method')})"
            )
        packing = self._description.get("checkpoint_format", "gptq")
        if layer.coding == "gptq" and packing not in ("gptq", "gptq_v2"):
            raise CheckpointError(
                f"checkpoint_format {packing!r} is not understood as {layer.name}"
            )
        return ModuleScheme(layer=layer, inputs=layer.inputs, gptq_v2=packing == "gptq_v2")

    @property
    def quantizes_kv_cache(self) -> bool:
        """Whether keys and values are stored as FP8 (E4M3) with a scale per layer.

        Raises:
            CheckpointError: the cache has another format.
        """
        scheme = self._description.get("kv_cache_scheme")
        if scheme is None:
            return False
        if isinstance(scheme, dict) and (scheme.get("num_bits"), scheme.get("type")) == (
            8,
            "float",
        ):
            return True
        raise CheckpointError(f"the KV-cache format {scheme!r} is not understood (FP8 is)")

    def _by_algorithm(self, module: str) -> ModuleScheme:
        layers = self._description.get("quantized_layers") or {}
        own = layers.get(module) or layers.get(_without_expert(module)) or {}
        name = str(own.get("quant_algo") or self._description.get("quant_algo"))
        layer = _announced_layer({"quant_method": self.method, "quant_algo": name})
        if layer is not None:
            return ModuleScheme(layer=layer, inputs=layer.inputs)
        if name.lower() not in _OTHER_ALGORITHMS:
            known = _known("quant_algo", *_OTHER_ALGORITHMS)
            raise CheckpointError(f"{module}: quant_algo {name!r} is not understood ({known})")
        other, inputs = _OTHER_ALGORITHMS[name.lower()]
        return ModuleScheme(layer=EVERY_LAYER[other], inputs=inputs)

    def _by_group(self, module: str) -> ModuleScheme:
        for group in (self._description.get("config_groups") or {}).values():
            if any(_matches(str(target), module) for target in group.get("targets") or []):
                layer = _announced_layer(self._description) or _grouped_layer(group)
                inputs = _input_kind(group.get("input_activations"))
                return ModuleScheme(layer=layer, inputs=inputs)
        raise CheckpointError(f"{module} is stored quantized, but no config group targets it")


def read_schemes(folder: Path) -> Schemes:
    """The schemes that a checkpoint's ``config.json`` announces.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    path = folder / "config.json"
    try:
        return Schemes(json.loads(path.read_text()).get("quantization_config"))
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from None


def _announced_layer(description: Mapping[str, Any]) -> LayerFormat | None:
    """The layer of the rows that are announced so; of mixes, none."""
    row = announced_row(description)
    return row.layers[0] if row is not None and len(row.layers) == 1 else None


def _known(key: str, *others: str) -> str:
    """What rows announce under a key, and others, for a message."""
    said = {str(row.announced[key]) for row in EVERY_FORMAT.values() if key in row.announced}
    return ", ".join(sorted({*said, *others}))


def _without_expert(module: str) -> str:
    """The name of all experts' common module: fused experts are described once."""
    return re.sub(r"\.experts\.\d+\.\w+$", ".experts", module)


def _matches(target: str, module: str) -> bool:
    """Whether a config group's target (a class, a name, or ``re:`` a pattern) means a module."""
    if target.startswith("re:"):
        return re.match(target[3:], module) is not None
    return target == "Linear" or target == module


def _grouped_layer(group: Mapping[str, Any]) -> LayerFormat:
    weights = group.get("weights") or {}
    form = (weights.get("type"), weights.get("num_bits"), weights.get("group_size"))
    if form not in _OTHER_GROUPS:
        raise CheckpointError(f"weights of type, bits and group size {form} are not understood")
    return EVERY_LAYER[_OTHER_GROUPS[form]]


def _input_kind(arguments: Mapping[str, Any] | None) -> InputKind | None:
    if not arguments:
        return "none"
    form = (arguments.get("type"), arguments.get("num_bits"))
    per_token = arguments.get("strategy") == "token" or (
        bool(arguments.get("dynamic")) and arguments.get("strategy") != "group"
    )
    kinds: dict[tuple[Any, Any, Any], InputKind] = {
        ("float", 8, None): "fp8-token" if per_token else "fp8",
        ("float", 8, 128): "fp8-block",
        ("int", 8, None): "int8-token" if per_token else "int8",
        ("float", 4, 16): "nvfp4",
        ("float", 4, 32): "mxfp4",
        ("float", 8, 32): "mxfp8",
    }
    return kinds.get((*form, arguments.get("group_size")))
