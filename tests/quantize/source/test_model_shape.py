"""Every weight of a model is counted from its configuration, as model cards count them."""

from typing import Any

import pytest

from quantize.source.model_shape import ShapeError, read_shape

LLAMA_8B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_hidden_layers": 32,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
MIXTRAL: dict[str, Any] = {
    **LLAMA_8B,
    "architectures": ["MixtralForCausalLM"],
    "vocab_size": 32000,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}
QWEN3_SMALL: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "num_hidden_layers": 28,
    "intermediate_size": 3072,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
QWEN3_MOE: dict[str, Any] = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "hidden_size": 2048,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_hidden_layers": 48,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "vocab_size": 151936,
}
QWEN2_7B: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 3584,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "num_hidden_layers": 28,
    "intermediate_size": 18944,
    "vocab_size": 152064,
}
MISTRAL_7B: dict[str, Any] = {
    **LLAMA_8B,
    "architectures": ["MistralForCausalLM"],
    "vocab_size": 32000,
    "sliding_window": 4096,
}


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (LLAMA_8B, 8_030_261_248),
        (MISTRAL_7B, 7_241_732_096),
        (QWEN2_7B, 7_615_616_512),
        (QWEN3_SMALL, 596_049_920),
        (MIXTRAL, 46_702_792_704),
        (QWEN3_MOE, 30_532_122_624),
    ],
    ids=["Llama-3.1-8B", "Mistral-7B", "Qwen2.5-7B", "Qwen3-0.6B", "Mixtral-8x7B", "Qwen3-30B-A3B"],
)
def test_parameters_are_those_the_model_cards_give(config: dict[str, Any], parameters: int) -> None:
    assert read_shape(config).parameters == parameters


def test_a_window_bounds_only_the_blocks_that_have_it() -> None:
    assert set(read_shape(MISTRAL_7B).windows) == {4096}
    assert set(read_shape({**MISTRAL_7B, "sliding_window": None}).windows) == {None}
    upper = {**QWEN2_7B, "use_sliding_window": True, "sliding_window": 512, "max_window_layers": 20}
    assert read_shape(upper).windows == (None,) * 20 + (512,) * 8
    assert set(read_shape({**upper, "use_sliding_window": False}).windows) == {None}
    kinds = ["sliding_attention", "full_attention"] * 14
    assert read_shape({**upper, "layer_types": kinds}).windows[:2] == (512, None)


def test_dense_blocks_of_a_mixture_have_no_router() -> None:
    dense = read_shape({**QWEN3_MOE, "mlp_only_layers": [0, 1]})
    assert dense.routers == 46 * 2048 * 128
    assert [linear.copies for linear in dense.linears if linear.role == "up"][:3] == [1, 1, 128]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "GPT2LMHeadModel has no known layout"),
        ({"hidden_size": None}, "hidden_size must be a positive integer"),
        ({"num_hidden_layers": "32"}, "num_hidden_layers must be a positive integer"),
    ],
)
def test_a_configuration_that_does_not_say_enough_is_refused(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        read_shape({**LLAMA_8B, **change})


def test_windows_and_biases_are_those_that_the_architecture_obeys() -> None:
    assert set(read_shape({**LLAMA_8B, "sliding_window": 64}).windows) == {None}
    no_window = {key: value for key, value in MISTRAL_7B.items() if key != "sliding_window"}
    assert set(read_shape(no_window).windows) == {4096}
    assert set(read_shape({**QWEN2_7B, "sliding_window": 64}).windows) == {None}
    assert read_shape({**MISTRAL_7B, "attention_bias": True}).biased == frozenset()
    assert read_shape({**LLAMA_8B, "attention_bias": True}).biased == {"q", "k", "v", "o"}
    assert read_shape(QWEN2_7B).biased == {"q", "k", "v"}


def test_a_window_as_long_as_the_model_itself_is_none() -> None:
    assert read_shape({**MISTRAL_7B, "max_position_embeddings": 4096}).window is None
    assert read_shape({**MISTRAL_7B, "max_position_embeddings": 8192}).window == 4096
