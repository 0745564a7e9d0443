import json
from pathlib import Path
from typing import Any

import pytest

from quantize.artifact.safetensors_header import read_safetensors
from quantize.artifact.stored_tensor import StoredTensor
from quantize.recipes.catalogue import find_recipe
from quantize.source.source_model import SourceModelError, check_source_model
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
    check_tensors(config, tensors)
    for left_out in tensors:
        with pytest.raises(SourceTensorError, match=rf"{left_out.name} is missing"):
            check_tensors(config, [item for item in tensors if item is not left_out])


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
        check_source_model(model, [find_recipe("bf16")])


def test_a_head_beside_a_tied_embedding_is_no_fault(tmp_path: Path) -> None:
    config, tensors = _read(make_tiny_model(tmp_path, layers=1))
    check_tensors(config | {"tie_word_embeddings": True}, tensors)
