"""The probe goes beyond every attention window, and never beyond what is served."""

import pytest

from quantize.agreement.probe_length import LEAST_TOKENS, probe_tokens
from quantize.source.model_shape import ModelShape, read_shape


def shape(window: int | None = None, positions: int = 8192) -> ModelShape:
    config = {
        "architectures": ["MistralForCausalLM"],
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 512,
        "sliding_window": window,
        "max_position_embeddings": positions,
    }
    return read_shape(config)


@pytest.mark.parametrize(
    ("window", "positions", "context", "tokens"),
    [
        (None, 8192, 2048, LEAST_TOKENS),
        (32, 8192, 2048, LEAST_TOKENS),
        (1024, 8192, 2048, 1216),
        (4096, 8192, 2048, 2047),
        (None, 512, 2048, 511),
        (None, 8192, 256, 255),
    ],
)
def test_it_is_as_long_as_it_must_and_can_be(
    window: int | None, positions: int, context: int, tokens: int
) -> None:
    assert probe_tokens(shape(window, positions), context) == tokens


def test_six_hundred_tokens_are_the_least_where_they_fit() -> None:
    assert LEAST_TOKENS >= 600
