"""A GGUF file's weights under their Hugging Face names, in float32.

Blocks are decoded by gguf-py, which comes with the converter out of the same llama.cpp source as
the engine. Names and row order are those of conversion/llama.py and conversion/qwen.py turned
around: for the ``llama`` architecture the rows of the query and key projections are stored in
pairs, for llama.cpp's rotary embedding.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from quantize.artifact.gguf_header import GgufFile, read_gguf
from quantize.artifact.stored_tensor import StoredTensor
from quantize.formats.announced_schemes import CheckpointError
from quantize.formats.gguf_types import GGUF_TYPES
from quantize.jobs.failure import ToolError
from quantize.jobs.llama_converter import GGUF_PY

# Architectures by llama.cpp's names, and whether query and key rows are stored in pairs.
_PAIRED_ROWS: Mapping[str, bool] = {
    "llama": True,
    "qwen2": False,
    "qwen3": False,
    "qwen2moe": False,
    "qwen3moe": False,
}
_OUTSIDE: Mapping[str, str] = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_INSIDE: Mapping[str, str] = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.{}.gate_proj",
    "ffn_up_exps": "mlp.experts.{}.up_proj",
    "ffn_down_exps": "mlp.experts.{}.down_proj",
}
_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")


def gguf_weights(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Names and float32 weights, one stored tensor at a time; experts come one by one.

    Raises:
        CheckpointError: an architecture or a tensor that is not understood.
        ToolError: llama.cpp's gguf-py is not installed.
        WeightFileError: the file is truncated or damaged.
    """
    file = read_gguf(path)
    architecture = str(file.metadata.get("general.architecture"))
    if architecture not in _PAIRED_ROWS:
        known = ", ".join(_PAIRED_ROWS)
        raise CheckpointError(f"{path}: architecture {architecture!r} is not understood ({known})")
    library = _gguf_py()
    for tensor in file.tensors:
        # Rotary frequencies are computed from the configuration.
        if tensor.name.startswith("rope_"):
            continue
        weight = _read(library, path, tensor)
        if _PAIRED_ROWS[architecture]:
            weight = _rows_in_order(file, architecture, tensor.name, weight)
        yield from _named(path, tensor.name, weight)


def stored_kinds(path: Path) -> Mapping[str, str]:
    """Storage types by Hugging Face names; a layer of experts is one, with ``{}`` for theirs.

    Raises:
        CheckpointError: a tensor that is not understood.
        WeightFileError: the file is truncated or damaged.
    """
    tensors = read_gguf(path).tensors
    return {_target(path, t.name): t.kind for t in tensors if not t.name.startswith("rope_")}


def _gguf_py() -> Any:
    """gguf-py's decoders; the package lies beside the converter, in no environment."""
    if not GGUF_PY.is_dir():
        raise ToolError(f"llama.cpp's gguf-py is missing ({GGUF_PY}); run `make setup`")
    if str(GGUF_PY) not in sys.path:
        sys.path.append(str(GGUF_PY))
    return import_module("gguf")


def _read(library: Any, path: Path, tensor: StoredTensor) -> Tensor:
    stored = np.fromfile(path, np.uint8, tensor.size_bytes, offset=tensor.offset)
    if tensor.kind == "F32":
        return torch.from_numpy(stored.view(np.float32).reshape(tensor.shape))
    if tensor.kind == "F16":
        halves = stored.view(np.float16).astype(np.float32)
        return torch.from_numpy(halves.reshape(tensor.shape))
    block = GGUF_TYPES[tensor.kind]
    row_bytes = tensor.shape[-1] // block.values * block.size_bytes
    kind = library.GGMLQuantizationType[tensor.kind]
    values = library.quants.dequantize(stored.reshape(*tensor.shape[:-1], row_bytes), kind)
    return torch.from_numpy(np.ascontiguousarray(values, np.float32).reshape(tensor.shape))


def _rows_in_order(file: GgufFile, architecture: str, name: str, weight: Tensor) -> Tensor:
    """Undo the converter's pairing of the rows of one head's two halves."""
    part = _BLOCK.fullmatch(name)
    if part is None or part[2] not in {"attn_q", "attn_k"}:
        return weight
    key = "head_count" if part[2] == "attn_q" else "head_count_kv"
    heads = file.metadata[f"{architecture}.attention.{key}"]
    assert isinstance(heads, int)
    pairs = weight.reshape(heads, weight.shape[0] // heads // 2, 2, *weight.shape[1:])
    return pairs.transpose(1, 2).reshape(weight.shape)


def _named(path: Path, name: str, weight: Tensor) -> Iterator[tuple[str, Tensor]]:
    target = _target(path, name)
    if "{}" not in target:
        yield target, weight
        return
    for expert, single in enumerate(weight):
        yield target.format(expert), single


def _target(path: Path, name: str) -> str:
    """The Hugging Face name, with a place for the expert where a tensor holds several."""
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    part = _BLOCK.fullmatch(name)
    if part is None or part[2] not in _INSIDE:
        raise CheckpointError(f"{path}: the tensor {name} is not understood")
    return f"model.layers.{part[1]}.{_INSIDE[part[2]]}.{part[3]}"
