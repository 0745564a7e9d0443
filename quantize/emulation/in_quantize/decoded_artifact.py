"""What an artifact really holds: every weight decoded from its stored tensors.

Names are those of the model's module tree with one entry per expert
(``model.layers.0.mlp.experts.3.gate_proj.weight``), whatever the checkpoint calls or fuses them;
weights are float32, ``(out, in)`` for linear layers. Nothing is rounded on the way: a decoded
value is exactly the product of the stored code and its scales.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from quantize.artifact.gguf_header import GGUF_NAME
from quantize.artifact.in_quantize.stored_modules import StoredModules
from quantize.emulation.in_quantize.gguf_weights import gguf_weights
from quantize.formats.announced_schemes import CheckpointError, read_schemes
from quantize.formats.in_quantize.activations import CacheRounding, InputRounding
from quantize.formats.in_quantize.decode_formats import DecodedModule, StoredModule, decode_module
from quantize.formats.safetensors_types import FLOATS

# What Mixtral's checkpoints call the parts of an expert (transformers/conversion_mapping.py).
_MIXTRAL = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}


class SafetensorsArtifact:
    """A safetensors checkpoint, decoded module by module.

    After ``modules`` has run to its end, ``input_roundings`` (by module name) and
    ``cache_roundings`` (by layer number) are complete, and ``stored`` counts what was read.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Read headers and configuration; modules are decoded on ``device``.

        Raises:
            CheckpointError: the configuration is missing, or announces an unknown method.
            WeightFileError: a weight file is missing, truncated or damaged.
        """
        self._schemes = read_schemes(folder)
        self.stored = StoredModules(folder, device)
        self.input_roundings: dict[str, InputRounding] = {}
        self.cache_roundings: dict[int, CacheRounding] = {}

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter's name and float32 values.

        Raises:
            CheckpointError: a module is stored in no form that is understood.
        """
        scales: dict[int, dict[str, float]] = {}
        for module in self.stored:
            for single in _split_experts(module):
                decoded = decode_module(single, self._schemes)
                name = _tree_name(decoded.name)
                if decoded.inputs.changes_inputs:
                    self.input_roundings[name] = decoded.inputs
                _collect_scales(decoded, scales)
                for part, values in decoded.parameters.items():
                    yield f"{name}.{part}", values
        if self._schemes.quantizes_kv_cache:
            self.cache_roundings = {
                layer: CacheRounding(key_scale=pair["k_scale"], value_scale=pair["v_scale"])
                for layer, pair in scales.items()
            }


def decoded_weights(artifact: Path) -> Iterator[tuple[str, Tensor]]:
    """Names and float32 weights of any artifact, one module in memory at a time.

    Raises:
        CheckpointError: it holds or announces something that is not understood.
        WeightFileError: a weight file is missing, truncated or damaged.
    """
    if (artifact / GGUF_NAME).is_file():
        return gguf_weights(artifact / GGUF_NAME)
    return SafetensorsArtifact(artifact).weights()


def _collect_scales(module: DecodedModule, scales: dict[int, dict[str, float]]) -> None:
    found = re.search(r"\.layers\.(\d+)\.self_attn", module.name)
    if found is None:
        return
    own = scales.setdefault(int(found[1]), {"k_scale": 1.0, "v_scale": 1.0})
    if module.key_scale is not None:
        own["k_scale"] = module.key_scale
    if module.value_scale is not None:
        own["v_scale"] = module.value_scale


def _split_experts(module: StoredModule) -> Iterator[StoredModule]:
    """A module whose tensors hold all experts at once, as one module per expert and projection.

    ``gate_up_proj`` ``(experts, 2 x inner, in)`` and ``down_proj`` ``(experts, out, inner)`` are
    how transformers keeps unquantized experts.
    """
    fused = module.parts.keys() & {"gate_up_proj", "down_proj"}
    if not module.name.endswith(".experts") or not fused:
        yield module
        return
    if fused != set(module.parts) or not set(module.kinds.values()) <= FLOATS:
        raise CheckpointError(f"{module.name}: fused experts are understood unquantized only")
    for part in sorted(fused):
        kind = {"weight": module.kinds[part]}
        for expert, values in enumerate(module.parts[part]):
            pieces = (
                zip(("gate_proj", "up_proj"), values.chunk(2), strict=True)
                if part == "gate_up_proj"
                else (("down_proj", values),)
            )
            for projection, piece in pieces:
                name = f"{module.name}.{expert}.{projection}"
                yield StoredModule(name=name, parts={"weight": piece}, kinds=kind)


def _tree_name(name: str) -> str:
    """Mixtral's checkpoint names as the module tree has them; other names are the same in both."""
    if ".block_sparse_moe" not in name:
        return name
    name = name.replace(".block_sparse_moe", ".mlp")
    head, _, last = name.rpartition(".")
    return f"{head}.{_MIXTRAL[last]}" if last in _MIXTRAL else name
