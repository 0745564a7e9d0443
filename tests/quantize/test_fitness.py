"""Whether a recipe can be made of a model is answered once, with the width or the feature named.

covers: quantize/by_llamacpp/converter_limits.py, quantize/jobs/llama_converter.py
"""

from pathlib import Path
from typing import Any

import pytest

from quantize.by_llamacpp.converter_limits import pre_tokenizers
from quantize.fitness import context_limit, require_all, why_not, why_not_of
from quantize.model_source import prepared
from quantize.recipes.catalogue import RECIPES, find_recipe
from quantize.source.model_shape import read_shape
from quantize.source.source_error import SourceModelError
from quantize.source.source_model import fingerprint
from tests.quantize.source.test_model_shape import LLAMA_8B, MISTRAL_7B, MIXTRAL, QWEN3_MOE
from tests.quantize.tiny_model import make_byte_level_tokenizer, make_tiny_model

SMOL = {**LLAMA_8B, "hidden_size": 576, "intermediate_size": 1536, "head_dim": 64}
SMOL |= {"num_attention_heads": 9, "num_key_value_heads": 3}


def why(recipe: str, config: dict[str, Any]) -> str | None:
    return why_not_of(find_recipe(recipe), config, read_shape(config))


def test_every_recipe_can_be_made_of_usual_widths() -> None:
    assert {name: why(name, LLAMA_8B) for name in RECIPES} == dict.fromkeys(RECIPES)


def test_a_width_that_no_group_divides_is_named_and_a_gguf_falls_back() -> None:
    assert why("gptq-int4-g128", SMOL) == (
        "the up projections have rows of 576 values; the recipe needs a multiple of 128"
    )
    assert [name for name in RECIPES if name.startswith("gguf") and why(name, SMOL)] == []
    odd = why("gguf-q8_0", {**SMOL, "intermediate_size": 344})
    assert odd is not None
    assert "rows of 344 values; the recipe needs a multiple of 32" in odd


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mlp_only_layers": [3], "norm_topk_prob": True}, "block 3 of this Qwen3-MoE has no exp"),
        ({"norm_topk_prob": False}, "norm_topk_prob is false"),
    ],
)
def test_what_llamacpp_does_not_compute_is_no_gguf(changes: dict[str, Any], said: str) -> None:
    config = {**QWEN3_MOE, **changes}
    found = why("gguf-bf16", config)
    assert found is not None
    assert found.startswith(said)
    assert why("bf16", config) is None


def test_a_dense_block_among_experts_is_refused_for_the_tools_that_want_none() -> None:
    config = {**QWEN3_MOE, "mlp_only_layers": [3], "norm_topk_prob": True}
    reasons = {name: why(name, config) for name in ("gptq-int4-g128", "awq-int4-g128", "gguf-q8_0")}
    assert [reason and reason.split(" and ")[1].split()[0] for reason in reasons.values()] == [
        *("GPTQModel", "GPTQModel", "llama.cpp")
    ]
    assert why("fp8", config) is None
    assert why("gptq-int4-g128", {**config, "mlp_only_layers": []}) is None


def test_awq_of_experts_is_refused_where_the_export_fails() -> None:
    for config in (MIXTRAL, QWEN3_MOE | {"norm_topk_prob": True}):
        for name in ("nvfp4-awq", "int4-awq"):
            found = why(name, config)
            assert found is not None
            assert found.startswith("NVIDIA's Model Optimizer exports no AWQ scales of experts")
        assert [why(name, config) for name in ("nvfp4", "fp8", "awq-int4-g128")] == [None] * 3
    assert why("nvfp4-awq", LLAMA_8B) is None


def test_a_sliding_window_limits_gguf_files_alone() -> None:
    shape = read_shape({**MISTRAL_7B, "max_position_embeddings": 32_768})
    assert context_limit(find_recipe("gguf-q8_0"), shape) == 4096
    assert context_limit(find_recipe("fp8"), shape) is None
    assert context_limit(find_recipe("gguf-q8_0"), read_shape(LLAMA_8B)) is None


def test_recipes_that_cannot_be_made_are_named_together(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model", intermediate_size=352, layers=1)
    source = prepared(fingerprint(str(model)), tmp_path)
    recipes = [find_recipe(name) for name in ("gptq-int4-g64", "awq-int4-g64", "bf16")]
    with pytest.raises(SourceModelError, match=r"gptq-int4-g64, awq-int4-g64: .*of 352 values"):
        require_all(recipes, source)
    require_all(recipes[2:], source)


@pytest.mark.engine
def test_a_pre_tokenizer_that_the_converter_does_not_know_is_refused_before_any_work(
    tmp_path: Path,
) -> None:
    assert len(pre_tokenizers().known) > 50
    model = make_tiny_model(tmp_path / "model", layers=1)
    source = prepared(fingerprint(str(model)), tmp_path)
    assert why_not(find_recipe("gguf-bf16"), source) is None
    make_byte_level_tokenizer(model)
    source = prepared(fingerprint(str(model)), tmp_path)
    found = why_not(find_recipe("gguf-bf16"), source)
    assert found is not None
    assert "does not know this tokenizer's pre-tokenizer" in found
    assert why_not(find_recipe("gptq-int4-g128"), source) is None
