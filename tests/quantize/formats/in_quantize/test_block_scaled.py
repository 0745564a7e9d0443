"""NVFP4, MXFP4 and MXFP8 against the tools' own encoders and decoders, on a million numbers."""

import warnings

import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the tools' imports warn of their own affairs
    from compressed_tensors.compressors.mxfp4 import MXFP4PackedCompressor
    from compressed_tensors.compressors.nvfp4.helpers import (
        pack_fp4_to_uint8,
        unpack_fp4_from_uint8,
    )
    from compressed_tensors.quantization.utils import cast_to_fp4, generate_mx_scales
    from modelopt.torch.quantization.qtensor.mxfp4_tensor import MXFP4QTensor
    from modelopt.torch.quantization.qtensor.mxfp8_tensor import MXFP8QTensor
    from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor

from quantize.formats.in_quantize.block_scaled import (
    ScaleRule,
    decode_mxfp4,
    decode_mxfp8,
    decode_nvfp4,
    encode_mx,
    encode_mxfp4,
    encode_mxfp8,
    encode_nvfp4,
    nvfp4_scale_2,
    pack_nibbles,
    round_mxfp4,
    round_mxfp8,
    round_nvfp4,
    unpack_nibbles,
)
from quantize.formats.in_quantize.minifloat import E2M1, E2M3, E3M2, E4M3, E5M2, E8M0, MiniFloat
from tests.quantize.formats.in_quantize.numbers import hard_rows


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return hard_rows()


def as_bytes(scale: torch.Tensor) -> torch.Tensor:
    return scale.view(torch.uint8)


@pytest.mark.parametrize("given", [None, 1e-3, 40.0], ids=["own scale", "small", "large"])
def test_nvfp4_equals_the_model_optimizers_bytes_and_numbers(
    x: torch.Tensor, given: float | None
) -> None:
    scale_2 = None if given is None else torch.tensor(given)
    ours = encode_nvfp4(x, scale_2)
    theirs, scale, theirs_2 = NVFP4QTensor.quantize(x.clone(), 16, weights_scaling_factor_2=scale_2)
    assert torch.equal(ours.packed, theirs._quantized_data)
    assert torch.equal(as_bytes(ours.scale), as_bytes(scale))
    assert torch.equal(ours.scale_2, theirs_2)
    decoded = theirs.dequantize(
        torch.float32, scale=scale, double_scale=theirs_2, block_sizes={-1: 16}
    )
    assert torch.equal(decode_nvfp4(*ours), decoded)


def test_nvfp4_of_zeros_is_zeros_and_its_scales_are_one() -> None:
    ours = encode_nvfp4(torch.zeros(3, 32))
    assert torch.equal(decode_nvfp4(*ours), torch.zeros(3, 32))
    assert ours.scale.float().unique().tolist() == [1.0]
    assert ours.scale_2.item() == 1.0


def test_nvfp4_shows_nan_and_infinity_instead_of_hiding_them() -> None:
    x = torch.ones(2, 32)
    x[0, 3], x[1, 20] = torch.nan, torch.inf
    assert round_nvfp4(x).isnan().all()
    held = decode_nvfp4(*encode_nvfp4(x, torch.tensor(1e-3)))
    assert held[0, :16].isnan().all()
    assert held[1, 16:].isnan().all()
    assert held[0, 16:].isfinite().all()
    assert held[1, :16].isfinite().all()


def test_nvfp4_inputs_beyond_the_calibrated_magnitude_saturate() -> None:
    rounded = round_nvfp4(torch.full((1, 16), 5.0), amax=torch.tensor(2.0))
    assert torch.allclose(rounded, torch.tensor(2.0))


def test_nvfp4_takes_a_scale_per_expert() -> None:
    experts = torch.randn(3, 4, 32) * torch.tensor([1.0, 100.0, 0.01])[:, None, None]
    scale_2 = nvfp4_scale_2(experts.abs().amax((1, 2), keepdim=True))
    together = decode_nvfp4(*encode_nvfp4(experts, scale_2))
    apart = torch.stack([round_nvfp4(expert) for expert in experts])
    assert torch.equal(together, apart)


def test_four_bit_codes_are_packed_as_compressed_tensors_packs_them(x: torch.Tensor) -> None:
    scaled = x.clamp(-6, 6)
    theirs = pack_fp4_to_uint8(cast_to_fp4(scaled))
    ours = pack_nibbles(E2M1.encode(scaled))
    numbers = x != 0  # theirs drops the sign of -0
    assert torch.equal(unpack_nibbles(ours)[numbers], unpack_nibbles(theirs)[numbers])
    unpacked = unpack_fp4_from_uint8(ours, *x.shape, dtype=torch.float32)
    assert torch.equal(E2M1.decode(unpack_nibbles(ours)), unpacked)


def test_mx_scales_by_rounding_equal_those_of_compressed_tensors(x: torch.Tensor) -> None:
    amax = x.abs().unflatten(-1, (-1, 32)).amax(-1)
    amax = amax[amax > 1e-37]  # below, theirs leaves the range of a scale
    for element, bits in ((E2M1, 4), (E4M3, 8)):
        theirs = generate_mx_scales(amax, num_bits=bits).to(torch.uint8)
        (_, ours) = encode_mx(amax.unsqueeze(-1).expand(-1, 32), element, ScaleRule.ROUND)
        assert torch.equal(ours.squeeze(-1), theirs)


def test_mxfp4_decodes_what_compressed_tensors_and_the_model_optimizer_decode(
    x: torch.Tensor,
) -> None:
    packed, scale = encode_mxfp4(x)
    usual = (scale > 1).all(-1)  # theirs works in bfloat16, which has no smaller powers
    elements = unpack_fp4_from_uint8(packed, *x.shape, dtype=torch.float32)
    power = MXFP4PackedCompressor._decompress_scale(scale, torch.float32)
    theirs = (elements.unflatten(-1, (-1, 32)) * power.unsqueeze(-1)).flatten(-2)
    assert usual.sum() > 4000
    assert torch.equal(decode_mxfp4(packed, scale)[usual], theirs[usual])
    tensor = MXFP4QTensor(x.shape, torch.float32, packed)
    optimizers = tensor.dequantize(scale=scale, block_sizes={-1: 32})
    assert torch.equal(decode_mxfp4(packed, scale), optimizers)


def test_mxfp4_by_ceiling_equals_the_model_optimizer_but_for_ties_and_zeros(
    x: torch.Tensor,
) -> None:
    packed, scale = encode_mxfp4(x, ScaleRule.CEIL)
    theirs, their_scale = MXFP4QTensor.quantize(x.clone(), 32)
    assert torch.equal(scale.flatten(), their_scale.flatten())
    ratio = (x.unflatten(-1, (-1, 32)) / E8M0.decode(scale).unsqueeze(-1)).flatten(-2)
    # Theirs rounds every tie down and gives zero a sign.
    ties = torch.isin(ratio.abs(), torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]))
    other = ties | (x == 0)
    ours = unpack_nibbles(packed)
    assert other.sum() < x.numel() / 20
    assert torch.equal(ours[~other], unpack_nibbles(theirs._quantized_data)[~other])


def test_mxfp8_by_ceiling_equals_the_model_optimizers_bytes_and_numbers(x: torch.Tensor) -> None:
    ours = encode_mxfp8(x, ScaleRule.CEIL)
    theirs, scale = MXFP8QTensor.quantize(x)
    assert torch.equal(ours.scale, scale)
    assert torch.equal(as_bytes(ours.elements), as_bytes(theirs._quantized_data))
    assert torch.equal(decode_mxfp8(*ours), theirs.dequantize(scale=scale))


def test_mx_scales_by_flooring_are_those_of_the_specification() -> None:
    amax = torch.tensor([1.0, 1.99, 4.0, 6.0, 7.99, 8.0, 448.0, 2.0**-127, 0.0])
    blocks = amax.unsqueeze(-1).expand(-1, 32)
    assert encode_mxfp4(blocks).scale.flatten().tolist() == [
        *(125, 125, 127, 127, 127, 128, 133),
        *(0, 0),
    ]
    assert encode_mxfp8(blocks).scale.flatten().tolist() == [
        *(119, 119, 121, 121, 121, 122, 127),
        *(0, 0),
    ]


@pytest.mark.parametrize("rule", ScaleRule)
@pytest.mark.parametrize("element", [E2M1, E2M3, E3M2, E4M3, E5M2], ids=lambda e: e.name)
def test_mx_elements_are_the_nearest_that_the_scale_allows(
    x: torch.Tensor, element: MiniFloat, rule: ScaleRule
) -> None:
    blocks = x[:256]
    codes, scale = encode_mx(blocks, element, rule)
    ratio = (blocks.unflatten(-1, (-1, 32)) / E8M0.decode(scale).unsqueeze(-1)).flatten(-2)
    values = element.values()
    values = values[values.isfinite()].unique()
    nearest = (ratio.unsqueeze(-1) - values).abs().amin(-1)
    assert torch.equal((ratio - element.decode(codes)).abs(), nearest)


def test_an_mx_block_with_nan_or_infinity_becomes_nan_and_no_other() -> None:
    x = torch.ones(3, 64)
    x[0, 3], x[1, 40] = torch.nan, -torch.inf
    for rounded in (round_mxfp4(x), round_mxfp8(x)):
        assert rounded[0, :32].isnan().all()
        assert rounded[1, 32:].isnan().all()
        assert rounded.isnan().sum() == 64


def test_rows_that_do_not_divide_into_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 24\) is no multiple of 16"):
        encode_nvfp4(torch.ones(2, 24))
    with pytest.raises(ValueError, match=r"shape \(2, 48\) is no multiple of 32"):
        encode_mxfp4(torch.ones(2, 48))


def test_input_is_left_as_it_was() -> None:
    x = torch.randn(4, 64)
    before = x.clone()
    round_nvfp4(x)
    round_mxfp4(x)
    round_mxfp8(x)
    assert torch.equal(x, before)
