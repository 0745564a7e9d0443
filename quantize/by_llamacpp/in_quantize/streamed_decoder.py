"""Run a model of any size through its decoder with one layer's weights in memory at a time.

The model is built without weights. A layer reads its own from the checkpoint when it is called and
drops them afterwards; the output head is never needed. Besides the embeddings, memory holds one
layer in float32 and the activations of one batch.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from quantize.artifact.safetensors_header import INDEX_NAME, weight_files

_PREFIX = "model."
# Mixtral's own names of an expert's three layers; every other family writes the long ones.
_EXPERT_LAYERS = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}
_EXPERT = re.compile(r"(.*\bexperts)\.(\d+)\.(\w+)\.weight")


class Checkpoint:
    """The tensors of a safetensors checkpoint by name, read one at a time."""

    def __init__(self, folder: Path) -> None:
        index = folder / INDEX_NAME
        if index.is_file():
            names = json.loads(index.read_text())["weight_map"]
            self._files = {name: folder / file for name, file in names.items()}
        else:
            self._files = {}
            for path in weight_files(folder):
                with safe_open(path, "pt") as stream:
                    self._files |= dict.fromkeys(stream.keys(), path)

    def tensor(self, name: str) -> Tensor:
        """One tensor as it is stored."""
        with safe_open(self._files[name], "pt") as stream:
            stored: Tensor = stream.get_tensor(name)
            return stored

    def under(self, prefix: str) -> dict[str, Tensor]:
        """All tensors whose names begin with ``prefix``, by the rest of the name."""
        return {
            name.removeprefix(prefix): self.tensor(name)
            for name in self._files
            if name.startswith(prefix)
        }


def streamed_decoder(folder: Path, device: torch.device) -> nn.Module:
    """The decoder of a Hugging Face model (embeddings, layers, last norm), computing in float32.

    Call it with token ids (batch, tokens) and ``use_cache=False``. The layers are in ``.layers``.

    Raises:
        RuntimeError: the checkpoint's tensors are not those of its architecture.
    """
    checkpoint = Checkpoint(folder)
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        decoder: Any = AutoModel.from_config(config, dtype=torch.float32)
    with device:
        # Its frequencies are computed, not stored, and would stay without values.
        decoder.rotary_emb = type(decoder.rotary_emb)(config=config)
    # The largest table of a model stays as it is stored: its rows are widened once looked up.
    table = checkpoint.tensor(f"{_PREFIX}embed_tokens.weight")
    decoder.embed_tokens = nn.Embedding.from_pretrained(table.to(device))
    decoder.embed_tokens.register_forward_hook(lambda _, __, rows: rows.float())
    _fill(decoder.norm, checkpoint.under(f"{_PREFIX}norm."), device)
    for index, layer in enumerate(decoder.layers):
        _stream(layer, checkpoint, f"{_PREFIX}layers.{index}.", device)
    decoder.eval()
    return decoder


def _stream(layer: nn.Module, checkpoint: Checkpoint, prefix: str, device: torch.device) -> None:
    def load(_: nn.Module, __: Any) -> None:
        _fill(layer, stack_experts(checkpoint.under(prefix)), device)

    def drop(_: nn.Module, __: Any, ___: Any) -> None:
        layer.to("meta")

    layer.register_forward_pre_hook(load)
    layer.register_forward_hook(drop)


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], device: torch.device) -> None:
    wide = {name: tensor.to(device, torch.float32) for name, tensor in tensors.items()}
    module.load_state_dict(wide, strict=True, assign=True)


def stack_experts(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A layer's tensors with its experts' stacked, the way transformers computes with them.

    Checkpoints hold one matrix per expert; the module has ``experts.gate_up_proj`` (experts,
    2 * inner, hidden), gate above up, and ``experts.down_proj`` (experts, hidden, inner).
    """
    stacked: dict[str, Tensor] = {}
    experts: dict[str, dict[str, dict[int, Tensor]]] = {}
    for name, tensor in tensors.items():
        name = name.replace("block_sparse_moe.", "mlp.")
        if found := _EXPERT.fullmatch(name):
            block, number, layer = found.groups()
            layers = experts.setdefault(block, {})
            layers.setdefault(_EXPERT_LAYERS.get(layer, layer), {})[int(number)] = tensor
        else:
            stacked[name] = tensor
    for block, layers in experts.items():
        whole = {
            layer: torch.stack([by_number[number] for number in sorted(by_number)])
            for layer, by_number in layers.items()
        }
        stacked[f"{block}.gate_up_proj"] = torch.cat([whole["gate_proj"], whole["up_proj"]], dim=1)
        stacked[f"{block}.down_proj"] = whole["down_proj"]
    return stacked
