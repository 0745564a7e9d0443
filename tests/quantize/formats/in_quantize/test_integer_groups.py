"""Integer groups, and the packing of GPTQ and AWQ against GPTQModel's own layers."""

import warnings

import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the tool's imports warn of their own affairs
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.nn_modules.qlinear.torch_awq import AwqTorchLinear
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    from gptqmodel.utils.model import convert_gptq_v2_to_v1_format_module

from types import SimpleNamespace

from quantize.formats.in_quantize.integer_groups import (
    IntGroups,
    decode_int_groups,
    encode_int_groups,
    pack_gptq,
    pack_words,
    unpack_awq,
    unpack_gptq,
    unpack_words,
)

OUT, IN, GROUP = 64, 256, 32


def random_codes(bits: int, lowest_zero: int = 1) -> tuple[torch.Tensor, ...]:
    """Codes (out, in), zero points and half-precision scales (groups, out), all random."""
    generator = torch.Generator().manual_seed(bits)
    codes = torch.randint(1 << bits, (OUT, IN), generator=generator)
    zeros = torch.randint(lowest_zero, 1 << bits, (IN // GROUP, OUT), generator=generator)
    scales = (torch.rand(IN // GROUP, OUT, generator=generator) + 0.5).half()
    return codes, zeros, scales


def in_full(groups: torch.Tensor, g_idx: torch.Tensor) -> torch.Tensor:
    return groups.float().T[:, g_idx]


def gptq_layer(bits: int, g_idx: torch.Tensor, desc_act: bool) -> tuple[TorchLinear, torch.Tensor]:
    """A layer packed by the tool, as its own second format, and the weight it was given."""
    codes, zeros, scales = random_codes(bits)
    weight = in_full(scales, g_idx) * (codes - in_full(zeros, g_idx))
    linear = torch.nn.Linear(IN, OUT, bias=False)
    linear.weight.data = weight
    layer = TorchLinear(
        bits=bits,
        group_size=GROUP,
        sym=False,
        desc_act=desc_act,
        in_features=IN,
        out_features=OUT,
        bias=False,
        pack_dtype=torch.int32,
    )
    layer.pack_original(linear, scales.float().T, zeros.T.int(), g_idx.int())
    return layer, weight


@pytest.mark.parametrize("activation_order", [False, True])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_gptq_tensors_decode_to_the_weight_that_the_tool_packed(
    bits: int, activation_order: bool
) -> None:
    g_idx = torch.arange(IN) // GROUP
    if activation_order:
        g_idx = g_idx[torch.randperm(IN, generator=torch.Generator().manual_seed(1))]
    layer, weight = gptq_layer(bits, g_idx, activation_order)
    given = g_idx if activation_order else None
    second = unpack_gptq(layer.qweight, layer.qzeros, layer.scales, given, bits, "gptq_v2")
    assert torch.equal(second, weight)
    layer._init_wf_unsqueeze_buffers()  # what post_init does before it compiles for a minute
    own = layer.dequantize_weight().T.float()
    assert torch.allclose(second, own, rtol=2**-10, atol=0)  # the tool multiplies in half precision
    convert_gptq_v2_to_v1_format_module(layer, SimpleNamespace(bits=bits, pack_dtype=torch.int32))
    first = unpack_gptq(layer.qweight, layer.qzeros, layer.scales, given, bits)
    assert torch.equal(first, weight)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_gptq_packing_equals_the_tools_words(bits: int) -> None:
    layer, _ = gptq_layer(bits, torch.arange(IN) // GROUP, False)
    codes, zeros, _ = random_codes(bits)
    qweight, qzeros = pack_gptq(codes, zeros, bits, "gptq_v2")
    assert torch.equal(qweight, layer.qweight)
    assert torch.equal(qzeros, layer.qzeros)
    convert_gptq_v2_to_v1_format_module(layer, SimpleNamespace(bits=bits, pack_dtype=torch.int32))
    assert torch.equal(pack_gptq(codes, zeros, bits)[1], layer.qzeros)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_gptq_keeps_every_zero_point_through_both_formats(bits: int) -> None:
    codes, zeros, scales = random_codes(bits, lowest_zero=0)
    g_idx = torch.arange(IN) // GROUP
    weight = in_full(scales, g_idx) * (codes - in_full(zeros, g_idx))
    for name in ("gptq", "gptq_v2"):
        packed = pack_gptq(codes, zeros, bits, name)
        assert torch.equal(unpack_gptq(*packed, scales, None, bits, name), weight)


@pytest.mark.parametrize("bits", [4, 8])
def test_awq_tensors_decode_to_the_weight_that_the_tool_packed(bits: int) -> None:
    codes, zeros, scales = random_codes(bits)
    g_idx = torch.arange(IN) // GROUP
    weight = in_full(scales, g_idx) * (codes - in_full(zeros, g_idx))
    linear = torch.nn.Linear(IN, OUT, bias=False)
    linear.weight.data = weight
    layer = AwqTorchLinear(
        bits=bits,
        group_size=GROUP,
        sym=False,
        desc_act=False,
        in_features=IN,
        out_features=OUT,
        bias=False,
        pack_dtype=torch.int32,
        register_buffers=False,
    )
    layer.pack(linear, scales.T, zeros.T.half())
    ours = unpack_awq(layer.qweight, layer.qzeros, layer.scales, bits)
    assert torch.equal(ours, weight)
    own = dequantize_gemm(layer.qweight, layer.qzeros, layer.scales, bits, GROUP)
    assert torch.allclose(ours, own.T.float(), rtol=2**-10, atol=0)


@pytest.mark.parametrize("bits", range(2, 9))
def test_words_hold_a_little_endian_stream_of_codes(bits: int) -> None:
    codes = torch.randint(1 << bits, (3, 96), generator=torch.Generator().manual_seed(bits))
    words = pack_words(codes, bits)
    assert torch.equal(unpack_words(words, bits).long(), codes)
    stream = sum(int(code) << (bits * place) for place, code in enumerate(codes[1]))
    assert words[1].numpy().astype("<i4").tobytes() == stream.to_bytes(96 * bits // 8, "little")


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_integer_groups_err_by_half_a_step_at_most(bits: int, symmetric: bool) -> None:
    x = torch.randn(64, 512, generator=torch.Generator().manual_seed(3)) + 0.5
    encoded = encode_int_groups(x, bits, 128, symmetric)
    error = (decode_int_groups(*encoded) - x).unflatten(-1, (-1, 128)).abs().amax(-1)
    # With zero points the ends of a group may be moved by the rounding of the zero point.
    steps = 0.5 if symmetric else 1.0
    assert (error <= steps * encoded.scale * (1 + 1e-5)).all()
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if symmetric else (0, (1 << bits) - 1)
    assert encoded.codes.min() >= low
    assert encoded.codes.max() == high


def test_smaller_groups_err_less() -> None:
    x = torch.randn(64, 512, generator=torch.Generator().manual_seed(4))
    errors = [
        (decode_int_groups(*encode_int_groups(x, 4, size, True)) - x).square().mean().item()
        for size in (32, 64, 128, -1)
    ]
    assert errors == sorted(errors)


def test_groups_of_zeros_stay_zeros() -> None:
    for symmetric in (True, False):
        encoded: IntGroups = encode_int_groups(torch.zeros(2, 64), 4, 32, symmetric)
        assert encoded.scale.unique().tolist() == [1.0]
        assert torch.equal(decode_int_groups(*encoded), torch.zeros(2, 64))


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="bits is 9"):
        encode_int_groups(torch.ones(1, 32), 9, 32, True)
    with pytest.raises(ValueError, match="no multiple of the group size 24"):
        encode_int_groups(torch.ones(1, 32), 4, 24, True)
    with pytest.raises(ValueError, match="9 bits is not known"):
        unpack_gptq(torch.zeros(9, 32).int(), torch.zeros(1, 9).int(), torch.ones(1, 32), None, 9)
    with pytest.raises(ValueError, match="do not fill whole 32-bit words"):
        pack_words(torch.zeros(1, 12), 4)
