"""A GGUF file's header says what transformers would write into ``config.json``."""

from typing import Any

import pytest

from quantize.artifact.gguf_header import GgufFile
from quantize.artifact.stored_tensor import StoredTensor
from quantize.source.gguf_config import config_of
from quantize.source.model_shape import SHAPES, outline

SIZES = {
    "embedding_length": 256,
    "block_count": 2,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.key_length": 32,
    "feed_forward_length": 512,
    "context_length": 1024,
}


def header(kind: str, *tensors: str, **more: Any) -> GgufFile:
    sizes = {f"{kind}.{name}": value for name, value in {**SIZES, **more}.items()}
    held = tuple(
        StoredTensor(name=name, kind="F16", shape=(300, 256), offset=0, size_bytes=0)
        for name in tensors
    )
    return GgufFile({"general.architecture": kind, **sizes}, held)


def test_sizes_and_vocabulary_are_those_of_the_header() -> None:
    shape = outline(config_of(header("llama", "token_embd.weight", "output.weight")))
    assert (shape.architecture, shape.tied) == ("LlamaForCausalLM", False)
    assert (shape.hidden, shape.blocks, shape.heads, shape.kv_heads) == (256, 2, 4, 2)
    assert (shape.head_size, shape.vocabulary, shape.positions) == (32, 300, 1024)
    assert shape.feed_forward == 512
    assert outline(config_of(header("qwen2", "token_embd.weight"))).tied


def test_experts_are_qwens_with_their_own_width() -> None:
    more = {"expert_count": 8, "expert_used_count": 2, "expert_feed_forward_length": 64}
    config = config_of(header("qwen3moe", "token_embd.weight", **more))
    shape = outline(config)
    assert (shape.experts, shape.experts_per_token, shape.feed_forward) == (8, 2, 128)
    assert config["norm_topk_prob"] is True


@pytest.mark.parametrize(("kind", "more"), [("gemma2", {}), ("llama", {"expert_count": 8})])
def test_a_kind_of_which_no_recipe_knows_the_layout_is_named_as_such(
    kind: str, more: dict[str, int]
) -> None:
    shape = outline(config_of(header(kind, "token_embd.weight", **more)))
    assert shape.architecture not in SHAPES
    assert shape.architecture.startswith(kind)
