import json
from pathlib import Path
from typing import Any

import pytest

from quantize.artifact.safetensors_header import read_safetensors
from quantize.artifact.stored_tensor import StoredTensor
from quantize.source.model_shape import read_shape
from quantize.source.reading import read_source
from quantize.source.source_error import SourceModelError
from quantize.source.source_tensors import SourceTensorError, check_tensors
from tests.quantize.tiny_model import Family, make_tiny_model


def _read(model: Path) -> tuple[dict[str, Any], list[StoredTensor]]:
    return (
        json.loads((model / "config.json").read_text()),
        read_safetensors(model / "model.safetensors"),
    )


@pytest.mark.parametrize("family", ["llama", "qwen3", "qwen3-moe", "mixtral"])
def test_every_tensor_is_asked_for_under_the_familys_name(tmp_path: Path, family: Family) -> None:
    config, tensors = _read(make_tiny_model(tmp_path, family=family, layers=1))
    shape = read_shape(config)
    check_tensors(shape, tensors)
    for left_out in tensors:
        with pytest.raises(SourceTensorError, match=rf"{left_out.name} is missing"):
            check_tensors(shape, [item for item in tensors if item is not left_out])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_hidden_layers": 3}, r"model\.layers\.2\.self_attn\.q_proj\.weight is missing"),
        ({"num_hidden_layers": 1}, r"layers\.1\..*one too many: config\.json names 1 layers"),
        ({"vocab_size": 600}, r"embed_tokens\.weight is 512 x 256, .* asks for 600 x 256"),
        ({"intermediate_size": 1024}, r"gate_proj\.weight is 512 x 256, .* for 1024 x 256"),
        ({"hidden_size": None}, r"hidden_size must be a positive integer"),
    ],
)
def test_weights_of_another_configuration_are_refused_before_work(
    model: Path, changes: dict[str, object], said: str
) -> None:
    config, _ = _read(model)
    (model / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(SourceModelError, match=said):
        read_source(model)


def _tensor(name: str, *shape: int) -> StoredTensor:
    return StoredTensor(name=name, kind="BF16", shape=shape, offset=0, size_bytes=0)


def test_a_head_beside_a_tied_embedding_is_let_through(tmp_path: Path) -> None:
    config, tensors = _read(make_tiny_model(tmp_path, layers=1))
    check_tensors(read_shape(config | {"tie_word_embeddings": True}), tensors)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.layers.0.self_attn.q_proj.bias", r"LlamaForCausalLM has no such.*attention_bias"),
        ("model.layers.0.mlp.extra.weight", r"has no such tensor.*remove it"),
        ("v_head.summary.weight", r"v_head\.summary\.weight.*remove it"),
    ],
)
def test_a_tensor_that_the_architecture_does_not_have_is_refused(
    tmp_path: Path, name: str, said: str
) -> None:
    config, tensors = _read(make_tiny_model(tmp_path, layers=1))
    with pytest.raises(SourceTensorError, match=said):
        check_tensors(read_shape(config), [*tensors, _tensor(name, 256)])


def test_tables_that_every_tool_computes_anew_are_no_fault(tmp_path: Path) -> None:
    config, tensors = _read(make_tiny_model(tmp_path, layers=1))
    table = _tensor("model.layers.0.self_attn.rotary_emb.inv_freq", 32)
    check_tensors(read_shape(config), [*tensors, table])


def test_declared_biases_are_asked_for_in_their_sizes(tmp_path: Path) -> None:
    config, tensors = _read(make_tiny_model(tmp_path, layers=1))
    shape = read_shape(config | {"mlp_bias": True})
    biases = [
        _tensor(f"model.layers.0.mlp.{name}_proj.bias", size)
        for name, size in (("gate", 512), ("up", 512), ("down", 256))
    ]
    check_tensors(shape, [*tensors, *biases])
    with pytest.raises(SourceTensorError, match=r"down_proj\.bias is missing"):
        check_tensors(shape, [*tensors, *biases[:2]])
