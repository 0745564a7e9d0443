"""A step takes as long as its bytes or its operations need, whichever is longer."""

import pytest

from eval.roofline import Card, Work, decode_limit, prefill_limit, work_of
from quantize.source.model_shape import read_shape

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_hidden_layers": 32,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
}
SHAPE = read_shape(LLAMA_8B)
# An H200, as measured: what it reads, and BF16 products.
H200 = Card(bytes_per_s=4.4e12, flop_per_s=760e12)


def work(
    bits: float = 16, weight_bytes: int = 2 * SHAPE.parameters, value_bytes: float = 2
) -> Work:
    return work_of(
        SHAPE,
        weight_bytes=weight_bytes,
        bits_per_weight=bits,
        embedding_bits=16,
        value_bytes=value_bytes,
    )


def test_one_stream_of_eight_billion_weights_reads_fifteen_gigabytes_a_token() -> None:
    """Measured on an H200: 203 tokens a second, of which reading allows 293."""
    assert work().step_bytes(1, 0) == pytest.approx(15.0e9, rel=0.005)
    limit = decode_limit(work(), H200, sequences=1, context=0)
    assert limit.bound == "memory"
    assert 203 * limit.seconds == pytest.approx(0.69, abs=0.01)


def test_an_embedding_is_looked_up_unless_it_is_the_head_too() -> None:
    tied = read_shape({**LLAMA_8B, "tie_word_embeddings": True})
    read = work_of(
        tied, weight_bytes=2 * tied.parameters, bits_per_weight=16, embedding_bits=16, value_bytes=2
    )
    assert read.shared_bytes == 2 * tied.parameters
    assert work().shared_bytes == 2 * (SHAPE.parameters - SHAPE.embedding)


def test_a_batch_reads_the_weights_once_and_every_sequences_cache() -> None:
    """Keys and values of a token: 2 x 32 blocks x 8 heads x 128 x 2 bytes = 131,072."""
    one, many = work().step_bytes(1, 1000), work().step_bytes(64, 1000)
    assert one - work().step_bytes(1, 0) == 1000 * 131_072
    assert many - one == 63 * 1000 * 131_072
    assert work(value_bytes=1).token_bytes == 65_536


def test_a_prompt_waits_for_products_and_a_short_one_for_the_weights() -> None:
    """512 tokens, 2 operations for each of 7.0 billion weights: 9.4 ms at 760 TFLOP/s."""
    long = prefill_limit(work(), H200, prompt=512)
    assert long.bound == "matrix"
    assert long.seconds == pytest.approx(9.4e-3, rel=0.01)
    short = prefill_limit(work(), H200, prompt=16)
    assert short.bound == "memory"
    assert short.seconds == pytest.approx(3.4e-3, rel=0.01)


def test_a_large_batch_is_bound_by_products_where_they_are_slow() -> None:
    slow = Card(bytes_per_s=4.4e12, flop_per_s=10e12)
    limit = decode_limit(work(), slow, sequences=64, context=0)
    assert limit.bound == "matrix"
    assert limit.seconds == pytest.approx(64 * 2 * (SHAPE.parameters - SHAPE.embedding) / 10e12,
                                          rel=0.001)  # fmt: skip


def test_without_a_matrix_rate_memory_is_the_limit() -> None:
    unknown = Card(bytes_per_s=4.4e12, flop_per_s=None)
    assert decode_limit(work(), unknown, sequences=4096, context=0).bound == "memory"


def test_of_a_mixture_those_experts_are_read_that_any_sequence_chooses() -> None:
    shape = read_shape(
        {
            **LLAMA_8B,
            "architectures": ["MixtralForCausalLM"],
            "num_local_experts": 8,
            "num_experts_per_tok": 2,
        }
    )
    experts = sum(linear.parameters for linear in shape.linears if linear.copies > 1)
    found = work_of(
        shape, weight_bytes=2 * shape.parameters, bits_per_weight=16, embedding_bits=16,
        value_bytes=2,
    )  # fmt: skip
    assert found.expert_bytes == 2 * experts
    one, two, many = (found.step_bytes(count, 0) - found.shared_bytes for count in (1, 2, 500))
    assert one == pytest.approx(experts * 2 * 2 / 8)
    assert two == pytest.approx(experts * 2 * (1 - (6 / 8) ** 2))
    assert many == pytest.approx(experts * 2)
    dense = shape.linear_parameters - experts
    assert found.token_flop == pytest.approx(2 * (dense + experts / 4 + shape.routers))
