"""Checkpoints as others publish them, small ones, written with numpy alone."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.quantize.tiny_model import read_tensors, write_safetensors

Tensors = Mapping[str, tuple[str, np.ndarray]]
INT8 = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "int", "strategy": "channel"},
            "input_activations": {"num_bits": 8, "type": "int", "strategy": "token"},
        }
    },
    "ignore": ["lm_head"],
}
GPT_OSS: dict[str, Any] = {
    "architectures": ["GptOssForCausalLM"],
    "model_type": "gpt_oss",
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "vocab_size": 512,
    "max_position_embeddings": 4096,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"],
    "eos_token_id": 2,
    "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
}


def floats(bits: np.ndarray) -> np.ndarray:
    """The numbers of bfloat16 bits."""
    return (bits.astype("<u4") << 16).view("<f4")


def as_int8(source: Path, folder: Path) -> Path:
    """A 16-bit model's folder, its blocks' linear layers in INT8 with a scale per row."""
    shutil.copytree(source, folder)
    tensors: dict[str, tuple[str, np.ndarray]] = {}
    for name, (kind, bits) in read_tensors(source / "model.safetensors").items():
        if "_proj" not in name:
            tensors[name] = (kind, bits)
            continue
        values = floats(bits)
        scale = np.abs(values).max(axis=1, keepdims=True) / 127
        tensors[name] = ("I8", np.rint(values / scale).astype("i1"))
        tensors[f"{name}_scale"] = ("F32", scale.astype("<f4"))
    write_safetensors(folder / "model.safetensors", tensors)
    announce(folder, INT8)
    return folder


def announce(folder: Path, said: object) -> None:
    """Let ``config.json`` say this of the quantization; None: nothing."""
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content.pop("quantization_config", None)
    path.write_text(json.dumps(content | ({"quantization_config": said} if said else {})))


def gpt_oss(folder: Path, tokenizer: Path) -> Path:
    """A folder with the tensors of GPT-OSS: experts in MXFP4, everything else in bfloat16."""
    folder.mkdir()
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    (folder / "config.json").write_text(json.dumps(GPT_OSS))
    wide = np.zeros((64, 64), "<u2")
    tensors: dict[str, tuple[str, np.ndarray]] = {
        "model.embed_tokens.weight": ("BF16", np.zeros((512, 64), "<u2")),
        "lm_head.weight": ("BF16", np.zeros((512, 64), "<u2")),
    }
    for block in range(2):
        layer = f"model.layers.{block}."
        tensors[f"{layer}self_attn.q_proj.weight"] = ("BF16", wide)
        tensors[f"{layer}mlp.router.weight"] = ("BF16", np.zeros((4, 64), "<u2"))
        for name, outputs in (("gate_up_proj", 128), ("down_proj", 64)):
            experts = f"{layer}mlp.experts.{name}"
            tensors[f"{experts}_blocks"] = ("U8", np.zeros((4, outputs, 2, 16), "u1"))
            tensors[f"{experts}_scales"] = ("U8", np.full((4, outputs, 2), 127, "u1"))
            tensors[f"{experts}_bias"] = ("BF16", np.zeros((4, outputs), "<u2"))
    write_safetensors(folder / "model.safetensors", tensors)
    return folder
