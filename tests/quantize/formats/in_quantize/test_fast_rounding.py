"""Rounding without codes gives what encoding and decoding give, on every kind of number.

covers: quantize/formats/in_quantize/block_scaled.py, quantize/formats/in_quantize/minifloat.py
"""

import pytest
import torch

from quantize.formats.in_quantize.block_scaled import (
    ScaleRule,
    decode_mxfp4,
    decode_mxfp8,
    decode_nvfp4,
    encode_mxfp4,
    encode_mxfp8,
    encode_nvfp4,
    nvfp4_scale_2,
    round_mxfp4,
    round_mxfp8,
    round_nvfp4,
)
from quantize.formats.in_quantize.minifloat import E2M1, E2M3, E3M2, E4M3, E5M2, MiniFloat


def samples() -> torch.Tensor:
    """A million numbers in rows of 64: wide and narrow, ties, zeros, subnormals, outliers."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(16384, 64, generator=generator)
    x *= torch.exp2(torch.randint(-12, 12, (16384, 1), generator=generator).float())
    x[::7] = x[::7].bfloat16().float()
    x[::11] = (x[::11] * 4).round() / 4
    x[5::101] = 0
    x[6::101] *= 1e-38
    x[:, 3] *= 100
    return x


@pytest.mark.parametrize("form", [E2M1, E2M3, E3M2, E4M3, E5M2], ids=lambda form: form.name)
def test_nearest_is_encode_and_decode(form: MiniFloat) -> None:
    x = samples()
    exact = form.decode(form.encode(x, saturate=True))
    assert torch.equal(form.nearest(x), exact)
    values = form.values()
    finite = values[values.isfinite()]
    middles = (finite[:, None] + finite[None, :]).flatten() / 2
    assert torch.equal(form.nearest(middles), form.decode(form.encode(middles, saturate=True)))


@pytest.mark.parametrize("rule", ScaleRule)
def test_blocks_with_power_of_two_scales(rule: ScaleRule) -> None:
    x = samples()
    assert torch.equal(round_mxfp4(x, rule), decode_mxfp4(*encode_mxfp4(x, rule)))
    assert torch.equal(round_mxfp8(x, rule), decode_mxfp8(*encode_mxfp8(x, rule)))


@pytest.mark.parametrize("amax", [None, 3.0])
def test_blocks_with_two_levels_of_scales(amax: float | None) -> None:
    x = samples()
    largest = None if amax is None else torch.tensor(amax)
    scale_2 = None if largest is None else nvfp4_scale_2(largest)
    assert torch.equal(round_nvfp4(x, largest), decode_nvfp4(*encode_nvfp4(x, scale_2)))


def test_a_block_with_nan_or_infinity_is_nan_and_the_others_are_not() -> None:
    x = torch.ones(2, 64)
    x[0, 1], x[1, 40] = torch.nan, torch.inf
    assert round_mxfp8(x).isnan().sum() == 64
    assert round_nvfp4(x, torch.tensor(1.0)).isnan().sum() == 32
