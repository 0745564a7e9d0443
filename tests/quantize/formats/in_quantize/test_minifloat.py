"""Element formats against torch's and ml_dtypes' own conversions, on every bit pattern."""

import ml_dtypes
import numpy as np
import pytest
import torch

from quantize.formats.in_quantize.minifloat import (
    BF16,
    E2M1,
    E2M3,
    E3M2,
    E4M3,
    E5M2,
    E8M0,
    FP16,
    MiniFloat,
)

TORCH = {
    FP16: torch.float16,
    BF16: torch.bfloat16,
    E4M3: torch.float8_e4m3fn,
    E5M2: torch.float8_e5m2,
}
ML_DTYPES = {
    E4M3: ml_dtypes.float8_e4m3fn,
    E5M2: ml_dtypes.float8_e5m2,
    E3M2: ml_dtypes.float6_e3m2fn,
    E2M3: ml_dtypes.float6_e2m3fn,
    E2M1: ml_dtypes.float4_e2m1fn,
    E8M0: ml_dtypes.float8_e8m0fnu,
    BF16: ml_dtypes.bfloat16,
    FP16: np.float16,
}
ALL = list(ML_DTYPES)


def name(number_format: MiniFloat) -> str:
    return number_format.name


def float32_bits(bits: torch.Tensor) -> torch.Tensor:
    return bits.to(torch.int32).view(torch.float32)


def probes(number_format: MiniFloat) -> torch.Tensor:
    """All bfloat16 numbers, the format's own, all midpoints and their two float32 neighbours."""
    upper_halves = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int32) << 16
    everything = float32_bits(upper_halves)
    values = number_format.values()
    finite = values[values.isfinite()].unique().double()
    midpoints = ((finite[1:] + finite[:-1]) / 2).float()
    beyond = (finite[-1] + (finite[-1] - finite[-2]) / 2).float()
    if torch.isfinite(beyond):
        midpoints = torch.cat([midpoints, beyond[None], -beyond[None]])
    neighbours = [
        torch.nextafter(midpoints, torch.tensor(end)) for end in (float("inf"), -float("inf"))
    ]
    return torch.cat([everything, values, midpoints, *neighbours])


def bits_of(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint8 if array.itemsize == 1 else np.uint16)


def same_numbers(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Equal bit by bit, whatever the bits of NaN."""
    equal = ours.view(torch.int32) == theirs.view(torch.int32)
    return bool((equal | (ours.isnan() & theirs.isnan())).all())


@pytest.mark.parametrize("number_format", ALL, ids=name)
def test_every_code_decodes_as_ml_dtypes_decodes_it(number_format: MiniFloat) -> None:
    codes = np.arange(1 << number_format.bits, dtype=np.uint16)
    codes = codes if number_format.bits == 16 else codes.astype(np.uint8)
    theirs = codes.view(ML_DTYPES[number_format]).astype(np.float32)
    ours = number_format.decode(torch.from_numpy(codes))
    assert same_numbers(ours, torch.from_numpy(theirs))
    assert same_numbers(number_format.values(), torch.from_numpy(theirs))


@pytest.mark.parametrize("number_format", TORCH, ids=name)
def test_every_code_decodes_as_torch_decodes_it(number_format: MiniFloat) -> None:
    codes = torch.arange(1 << number_format.bits, dtype=torch.int32)
    narrow = codes.to(torch.uint8 if number_format.bits == 8 else torch.uint16)
    assert same_numbers(number_format.decode(narrow), narrow.view(TORCH[number_format]).float())


@pytest.mark.parametrize("number_format", [f for f in ALL if f is not E8M0], ids=name)
def test_encoding_equals_ml_dtypes_where_both_define_it(number_format: MiniFloat) -> None:
    x = probes(number_format)
    x = x[~x.isnan()]
    with np.errstate(over="ignore"):
        theirs = bits_of(x.numpy().astype(ML_DTYPES[number_format]))
    ours = number_format.encode(x, saturate=False)
    if number_format is E4M3:  # any NaN code is a NaN
        assert np.array_equal(ours.numpy() & 0x7F, theirs & 0x7F)
    assert np.array_equal(ours.numpy(), theirs)


@pytest.mark.parametrize("number_format", [FP16, BF16, E5M2], ids=name)
def test_encoding_equals_torch_without_saturation(number_format: MiniFloat) -> None:
    x = probes(number_format)
    theirs = x.to(TORCH[number_format]).float()
    ours = number_format.round(x, saturate=False)
    assert same_numbers(ours, theirs)


@pytest.mark.parametrize("number_format", [E4M3, E5M2, E3M2, E2M3, E2M1], ids=name)
def test_saturating_clamps_to_the_largest_number_and_keeps_the_rest(
    number_format: MiniFloat,
) -> None:
    x = probes(number_format)
    x = x[~x.isnan()]
    clamped = x.clamp(-number_format.max, number_format.max)
    assert same_numbers(number_format.round(x), number_format.round(clamped, saturate=False))


def test_saturating_fp8_equals_torch_on_clamped_numbers() -> None:
    x = probes(E4M3)
    x = x[~x.isnan()]
    theirs = x.clamp(-448, 448).to(torch.float8_e4m3fn).view(torch.uint8)
    assert torch.equal(E4M3.encode(x), theirs)


def test_e8m0_equals_ml_dtypes_on_float32s_normal_positive_numbers_and_nan() -> None:
    x = probes(E8M0)
    x = x[(x >= 2.0**-126) | x.isnan()]
    with np.errstate(invalid="ignore"):
        theirs = x.numpy().astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)
    assert np.array_equal(E8M0.encode(x).numpy(), theirs)
    positive = x[x > 0]
    assert torch.equal(E8M0.encode(positive), positive.to(torch.float8_e8m0fnu).view(torch.uint8))


def test_e8m0_takes_the_nearest_of_its_two_smallest_scales() -> None:
    # ml_dtypes and torch take 2^-126 for all between the two.
    x = torch.tensor([1e-45, 2.0**-128, 2.0**-127, 1.49 * 2.0**-127, 1.5 * 2.0**-127, 2.0**-126])
    assert E8M0.encode(x).tolist() == [0, 0, 0, 0, 1, 1]


def test_e8m0_takes_zero_as_the_smallest_scale_and_a_negative_number_as_nan() -> None:
    codes = E8M0.encode(torch.tensor([0.0, -0.0, -1.0, -float("inf")]))
    assert codes.tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("number_format", [FP16, BF16, E4M3, E5M2, E8M0], ids=name)
def test_nan_stays_nan(number_format: MiniFloat) -> None:
    nans = float32_bits(torch.tensor([0x7FC00000, 0x7F800001, 0x7FFFFFFF, -1, -4194304]))
    assert number_format.round(nans).isnan().all()
    assert number_format.round(nans, saturate=False).isnan().all()


@pytest.mark.parametrize("number_format", [E3M2, E2M3, E2M1], ids=name)
def test_nan_becomes_the_largest_number_where_there_is_no_nan(number_format: MiniFloat) -> None:
    nans = torch.tensor([float("nan"), -float("nan")])
    assert number_format.round(nans).tolist() == [number_format.max] * 2


def test_largest_numbers_and_exponents_are_those_of_the_specifications() -> None:
    largest = {f.name: (f.max, f.largest_exponent) for f in (E4M3, E5M2, E3M2, E2M3, E2M1)}
    assert largest == {
        "FP8 E4M3": (448.0, 8),
        "FP8 E5M2": (57344.0, 15),
        "FP6 E3M2": (28.0, 4),
        "FP6 E2M3": (7.5, 2),
        "FP4 E2M1": (6.0, 2),
    }


def test_input_of_any_float_dtype_shape_and_layout_is_taken_and_left_alone() -> None:
    x = torch.randn(4, 6, 8, dtype=torch.float64).transpose(0, 2)
    before = x.clone()
    assert torch.equal(E2M1.round(x), E2M1.round(x.float().contiguous()))
    assert E2M1.encode(x).shape == x.shape
    assert torch.equal(x, before)
    assert E4M3.round(torch.empty(0, 3)).shape == (0, 3)
