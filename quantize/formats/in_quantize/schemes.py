"""What a checkpoint's ``quantization_config`` says of each module, in one vocabulary.

Three producers describe the same things in three ways: modelopt by the name of an algorithm
(``quant_algo``; per layer in ``quantized_layers`` for mixed checkpoints), compressed-tensors by
groups of arguments, GPTQ and AWQ by bits and group size.

Sources: modelopt/torch/export/convert_hf_config.py; compressed_tensors/quantization/
quant_args.py and quant_config.py; gptqmodel/quantization/config.py.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantize.formats.in_quantize.integer_groups import GptqFormat
from quantize.formats.input_kinds import InputKind


class CheckpointError(ValueError):
    """A checkpoint announces or holds something that is not understood; the message names it."""


# Inputs by modelopt's algorithm names; in lower case, as modelopt itself varies.
_MODELOPT_INPUTS: Mapping[str, InputKind] = {
    "fp8": "fp8",
    "fp8_per_channel_per_token": "fp8-token",
    "nvfp4": "nvfp4",
    "nvfp4_awq": "nvfp4",
    "w4a16_nvfp4": "none",
    "mxfp4": "mxfp4",
    "mxfp8": "mxfp8",
    "w4a16_awq": "none",
    "w8a16": "none",
    "w8a8_sq_per_channel": "int8",
}


@dataclass(frozen=True, kw_only=True)
class ModuleScheme:
    """How a module is packed and what its input is rounded to.

    ``method`` is ``modelopt``, ``compressed-tensors``, ``gptq``, ``awq`` or empty (no
    quantization); ``bits`` is the width of a packed integer (GPTQ and AWQ), 0 elsewhere, and
    ``zeros`` says how GPTQ's zero points are stored (number_formats/integer_groups.py).
    """

    method: str
    inputs: InputKind
    bits: int = 0
    zeros: GptqFormat = "gptq"


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
        if self.method in {"gptq", "awq"}:
            bits = int(self._description.get("bits", 4))
            later = self._description.get("checkpoint_format") == "gptq_v2"
            zeros: GptqFormat = "gptq_v2" if later else "gptq"
            return ModuleScheme(method=self.method, inputs="none", bits=bits, zeros=zeros)
        if self.method == "modelopt":
            return ModuleScheme(method="modelopt", inputs=self._modelopt_inputs(module))
        if self.method == "compressed-tensors":
            return ModuleScheme(method=self.method, inputs=self._group_inputs(module))
        if self.method:
            raise CheckpointError(
                f"quantization method {self.method!r} is not understood (understood: modelopt, "
                "compressed-tensors, gptq, awq)"
            )
        return ModuleScheme(method="", inputs="none")

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

    def _modelopt_inputs(self, module: str) -> InputKind:
        layers = self._description.get("quantized_layers") or {}
        own = layers.get(module) or layers.get(_without_expert(module)) or {}
        name = str(own.get("quant_algo") or self._description.get("quant_algo"))
        if name.lower() not in _MODELOPT_INPUTS:
            known = ", ".join(sorted(_MODELOPT_INPUTS))
            raise CheckpointError(f"{module}: quant_algo {name!r} is not understood ({known})")
        return _MODELOPT_INPUTS[name.lower()]

    def _group_inputs(self, module: str) -> InputKind:
        for group in (self._description.get("config_groups") or {}).values():
            if any(_matches(str(target), module) for target in group.get("targets") or []):
                return _argument_kind(group.get("input_activations"))
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


def _without_expert(module: str) -> str:
    """The name of all experts' common module: fused experts are described once."""
    return re.sub(r"\.experts\.\d+\.\w+$", ".experts", module)


def _matches(target: str, module: str) -> bool:
    """Whether a config group's target (a class, a name, or ``re:`` a pattern) means a module."""
    if target.startswith("re:"):
        return re.match(target[3:], module) is not None
    return target == "Linear" or target == module


def _argument_kind(arguments: Mapping[str, Any] | None) -> InputKind:
    if not arguments:
        return "none"
    form = (arguments.get("type"), arguments.get("num_bits"))
    per_token = arguments.get("strategy") == "token" or (
        bool(arguments.get("dynamic")) and arguments.get("strategy") != "group"
    )
    kinds: dict[tuple[Any, Any, Any], InputKind] = {
        ("float", 8, None): "fp8-token" if per_token else "fp8",
        ("int", 8, None): "int8-token" if per_token else "int8",
        ("float", 4, 16): "nvfp4",
        ("float", 4, 32): "mxfp4",
        ("float", 8, 32): "mxfp8",
    }
    return kinds.get((*form, arguments.get("group_size")), "unknown")
