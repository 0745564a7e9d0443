"""What a user named is recognised by its headers: weights for recipes, or a published checkpoint.

covers: quantize/source/published.py, quantize/recipes/native_recipes.py
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import quantize.published_model as module
from quantize.published_model import (
    check_same_vocabulary,
    find_model,
    form_of,
    recognise,
    what_recipes_read,
)
from quantize.recipes.catalogue import find_recipe
from quantize.source.published import PublishedModel
from quantize.source.source_error import SourceModelError
from tests.quantize.artifact.small_gguf import write_gguf
from tests.quantize.published import announce, as_int8, gpt_oss
from tests.quantize.tiny_model import make_tiny_model, rewrite_weights


@pytest.fixture
def int8(model: Path, tmp_path: Path) -> Path:
    return as_int8(model, tmp_path / "int8")


def test_sixteen_bit_weights_are_for_recipes(model: Path) -> None:
    assert recognise(str(model)) is None
    assert not isinstance(find_model(str(model)), PublishedModel)


def test_a_quantized_folder_is_published_and_its_bits_are_measured(int8: Path) -> None:
    found = recognise(str(int8))
    assert found is not None
    assert (found.form, found.path) == ("compressed-int8", int8)
    assert 8 < found.bits_per_weight < 8.3


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        (
            "hf_quant_config.json",
            {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}},
            "modelopt-fp8-kv",
        ),
        ("quantize_config.json", {"bits": 4, "sym": True, "group_size": 128}, "gptq-int4-sym"),
        ("quant_config.json", {"bits": 4, "zero_point": True}, "awq-int4"),
    ],
)
def test_what_stands_in_a_file_of_its_own_counts(
    name: str, content: object, form: str, int8: Path
) -> None:
    announce(int8, None)
    (int8 / name).write_text(json.dumps(content))
    found = recognise(str(int8))
    assert found is not None
    assert found.form == form


def test_an_order_of_activations_in_groups_is_another_format() -> None:
    said = {"quant_method": "gptq", "bits": 4, "sym": True, "desc_act": True}
    assert form_of({**said, "group_size": 128}) == "gptq-int4-actorder"
    assert form_of({**said, "group_size": -1}) == "gptq-int4-sym"


def test_a_format_that_is_not_known_is_named_with_those_that_are(int8: Path) -> None:
    announce(int8, {"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(SourceModelError, match=r"bitsandbytes, load_in_4bit True.*gpt-oss-mxfp4"):
        recognise(str(int8))


def test_gpt_oss_is_recognised_by_its_experts(model: Path, tmp_path: Path) -> None:
    found = recognise(str(gpt_oss(tmp_path / "oss", model)))
    assert found is not None
    assert found.form == "gpt-oss-mxfp4"
    experts = 2 * 4 * (128 * 64 + 64 * 64)
    # 4.25 bits in the experts, 16 in the projection and the router beside them.
    assert found.parameters > experts
    assert 4.25 < found.bits_per_weight < 6


def test_an_architecture_that_recipes_do_not_know_is_served_as_it_is(
    model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "gemma"
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"architectures": ["GemmaForCausalLM"]})
    )
    found = find_model(str(folder))
    assert isinstance(found, PublishedModel)
    assert (found.published.form, found.alone) == ("bf16", True)


def test_a_gguf_file_is_named_after_what_most_of_its_weights_are(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    tensors = {
        "token_embd.weight": ("Q6_K", (512, 256)),
        "blk.0.attn_q.weight": ("Q4_K", (256, 256)),
        "blk.0.ffn_up.weight": ("Q4_K", (512, 256)),
        "blk.0.ffn_down.weight": ("Q6_K", (256, 512)),
    }
    write_gguf(file, tensors)
    found = recognise(str(file))
    assert found is not None
    assert (found.form, found.path) == ("gguf-mostly-q4_k", file)
    # A folder that holds nothing else means the file.
    assert recognise(str(tmp_path)) is not None
    write_gguf(tmp_path / "n.gguf", tensors)
    with pytest.raises(SourceModelError, match=r"2 GGUF files \(m.gguf, n.gguf"):
        recognise(str(tmp_path))


def test_the_weights_that_it_is_compared_with_are_those_that_recipes_read(
    model: Path, int8: Path
) -> None:
    found = find_model(str(int8), str(model))
    assert isinstance(found, PublishedModel)
    assert (found.name, found.original, found.alone) == (str(model), model, False)
    assert found.sha256 == find_model(str(model)).sha256
    alone = find_model(str(int8))
    assert isinstance(alone, PublishedModel)
    assert (alone.original, alone.alone) == (int8, True)
    assert alone.published_sha256 == found.published_sha256
    config, shape = what_recipes_read(str(int8), alone.published)
    assert config["quantization_config"]["format"] == "int-quantized"
    assert shape.blocks == 2


def test_a_baseline_must_have_sixteen_bits_and_the_model_must_not(model: Path, int8: Path) -> None:
    with pytest.raises(SourceModelError, match="is no 16-bit model"):
        find_model(str(int8), str(int8))
    with pytest.raises(SourceModelError, match="has 16-bit weights itself"):
        find_model(str(model), str(model))


def test_the_hash_of_a_checkpoint_is_that_of_its_bytes(int8: Path) -> None:
    before = find_model(str(int8))
    rewrite_weights(int8, lambda tensors: _shifted(tensors))
    after = find_model(str(int8))
    assert isinstance(before, PublishedModel)
    assert isinstance(after, PublishedModel)
    assert before.published_sha256 != after.published_sha256


def _shifted(tensors: dict[str, tuple[str, np.ndarray]]) -> dict[str, tuple[str, np.ndarray]]:
    kind, bits = tensors["model.norm.weight"]
    return tensors | {"model.norm.weight": (kind, bits + 1)}


def test_the_recipe_of_a_published_checkpoint_is_named_after_its_format() -> None:
    recipe = find_recipe("native-gguf-mostly-q4_k")
    assert (recipe.as_published, recipe.bits, recipe.weight_format) == (True, 4, "gguf")
    with pytest.raises(
        ValueError, match=r"unknown format 'awq-int5'.*did you mean native-awq-int4"
    ):
        find_recipe("native-awq-int5")


def test_a_vocabulary_of_another_size_is_another_model(int8: Path, tmp_path: Path) -> None:
    other = make_tiny_model(tmp_path / "other", vocab_size=600)
    found = find_model(str(int8), str(other))
    assert isinstance(found, PublishedModel)
    with pytest.raises(SourceModelError, match=r"a vocabulary of 512, its baseline .* one of 600"):
        check_same_vocabulary(found)


def test_what_a_gguf_file_needs_is_read_from_its_header_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(file: Path) -> Path:
        raise AssertionError(f"{file} was written out")

    monkeypatch.setattr(module, "folder_of", never)
    sizes = {
        "embedding_length": 256,
        "block_count": 1,
        "attention.head_count": 4,
        "feed_forward_length": 512,
        "context_length": 64,
    }
    file = tmp_path / "m.gguf"
    tensors = {
        "token_embd.weight": ("F16", (40, 256)),
        "blk.0.ffn_up.weight": ("Q8_0", (512, 256)),
    }
    write_gguf(file, tensors, sizes={f"llama.{key}": value for key, value in sizes.items()})
    config, shape = what_recipes_read(str(file), recognise(str(file)))
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (shape.hidden, shape.vocabulary, shape.positions) == (256, 40, 64)
