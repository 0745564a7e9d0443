"""The checkpoint is whole: shapes, number of parameters, finite values, configuration.

covers: quantize/reference_model/build.py
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.reference_model.build import WEIGHTS

LAYER = {
    "self_attn.q_proj.weight": [512, 512],
    "self_attn.k_proj.weight": [256, 512],
    "self_attn.v_proj.weight": [256, 512],
    "self_attn.o_proj.weight": [512, 512],
    "mlp.gate_proj.weight": [1536, 512],
    "mlp.up_proj.weight": [1536, 512],
    "mlp.down_proj.weight": [512, 1536],
    "input_layernorm.weight": [512],
    "post_attention_layernorm.weight": [512],
}
SHAPES = {
    "model.embed_tokens.weight": [4096, 512],
    "lm_head.weight": [4096, 512],
    "model.norm.weight": [512],
} | {f"model.layers.{layer}.{name}": shape for layer in range(6) for name, shape in LAYER.items()}
CHECKPOINT = WEIGHTS / "model.safetensors"


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file, without the metadata."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return header


def test_every_tensor_has_its_shape_and_is_bf16() -> None:
    header = read_header(CHECKPOINT)
    assert {name: entry["shape"] for name, entry in header.items()} == SHAPES
    assert {entry["dtype"] for entry in header.values()} == {"BF16"}


def test_there_are_23_million_parameters() -> None:
    count = sum(int(np.prod(shape)) for shape in SHAPES.values())
    assert count == 23_075_328
    assert CHECKPOINT.stat().st_size == pytest.approx(2 * count, rel=0.001)


def test_all_weights_are_finite_and_trained() -> None:
    raw = CHECKPOINT.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    bits = np.frombuffer(raw, dtype="<u2", offset=8 + size)
    assert not ((bits & 0x7F80) == 0x7F80).any()
    values = (bits.astype("<u4") << 16).view("<f4")
    assert 0.01 < values.std() < 1


def test_the_configuration_fits_the_weights_and_the_formats() -> None:
    config = json.loads((WEIGHTS / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "bfloat16"
    assert config["max_position_embeddings"] == 2048
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (1, 2, 3)
    assert config["num_attention_heads"] * config["head_dim"] == config["hidden_size"] == 512
    # llama.cpp's super-blocks are 256 wide; every other format's groups divide that.
    assert config["hidden_size"] % 256 == config["intermediate_size"] % 256 == 0


def test_generation_stops_at_the_end_of_a_document_and_of_a_turn() -> None:
    config = json.loads((WEIGHTS / "generation_config.json").read_text())
    assert config["eos_token_id"] == [2, 7]
