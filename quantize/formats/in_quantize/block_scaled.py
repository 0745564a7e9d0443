"""Four- and eight-bit floating point with one scale per block: NVFP4, MXFP4, MXFP8.

Sources: NVFP4 after ``NVFP4QTensor`` of NVIDIA's Model Optimizer (two levels: an E4M3 scale per 16
numbers, a float32 scale per tensor); MXFP4 and MXFP8 after the "OCP Microscaling Formats (MX)
Specification" 1.0 (an E8M0 scale per 32 numbers). Blocks lie along the last axis. Two 4-bit codes
share a byte, the earlier number in the low half.
"""

from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from quantize.formats.in_quantize.minifloat import E2M1, E4M3, E8M0, MiniFloat

NVFP4_BLOCK = 16
MX_BLOCK = 32
_SMALLEST_E4M3 = 2.0**-9
_F32_MANTISSA = 23


class Nvfp4(NamedTuple):
    """``packed`` uint8 (..., K/2), ``scale`` float8_e4m3fn (..., K/16), ``scale_2`` float32."""

    packed: Tensor
    scale: Tensor
    scale_2: Tensor


class Mxfp4(NamedTuple):
    """``packed`` uint8 (..., K/2), ``scale`` E8M0 codes as uint8 (..., K/32)."""

    packed: Tensor
    scale: Tensor


class Mxfp8(NamedTuple):
    """``elements`` float8_e4m3fn (..., K), ``scale`` E8M0 codes as uint8 (..., K/32)."""

    elements: Tensor
    scale: Tensor


class ScaleRule(Enum):
    """How an MX block's scale follows from its largest magnitude ``amax``; tools differ."""

    FLOOR = "2 ** (floor(log2(amax)) - emax): MX specification 1.0, 6.3; the top may saturate"
    ROUND = "as FLOOR after rounding amax up from 1.75 x 2^n: compressed-tensors, llm-compressor"
    CEIL = "2 ** ceil(log2(amax / max)): Model Optimizer; nothing saturates"


def in_blocks(x: Tensor, size: int) -> Tensor:
    """(..., K) as (..., K/size, size).

    Raises:
        ValueError: K is no multiple of ``size``.
    """
    if x.ndim == 0 or x.shape[-1] % size:
        raise ValueError(f"the last axis of shape {tuple(x.shape)} is no multiple of {size}")
    return x.reshape(*x.shape[:-1], x.shape[-1] // size, size)


def pack_nibbles(codes: Tensor) -> Tensor:
    """Codes below 16, (..., K) uint8, two to a byte (..., K/2), the earlier in the low half."""
    return codes[..., 0::2] | (codes[..., 1::2] << 4)


def unpack_nibbles(packed: Tensor) -> Tensor:
    """Undo ``pack_nibbles``: (..., K/2) to (..., K)."""
    return torch.stack([packed & 0xF, packed >> 4], dim=-1).flatten(-2)


def nvfp4_scale_2(amax: Tensor) -> Tensor:
    """The tensor-wide scale, float32: the largest block's scale becomes E4M3's largest number.

    1 where ``amax`` is 0, so that a tensor of zeros stays one.
    """
    amax = amax.to(torch.float32)
    return torch.where(amax == 0, 1.0, amax / (E2M1.max * E4M3.max))


def encode_nvfp4(x: Tensor, scale_2: Tensor | None = None) -> Nvfp4:
    """Encode (..., K), K a multiple of 16.

    Args:
        x: numbers of any floating dtype, taken as float32.
        scale_2: a given tensor-wide scale, a scalar or of a shape that broadcasts against
            (..., K/16); from the largest magnitude of all of ``x`` by default.

    A block of zeros gets the scale 1; any other block's scale is held within 2^-9 and 448, so that
    it neither vanishes nor becomes NaN. NaN or infinity in ``x`` makes everything NaN, unless
    ``scale_2`` is given: then its own block.

    Raises:
        ValueError: K is no multiple of 16.
    """
    blocks, scale, scale_2, step = _nvfp4_blocks(x, scale_2)
    # Adding zero makes -0 to 0, as upstream's encoder does.
    elements = E2M1.encode(blocks / step + 0.0).flatten(-2)
    return Nvfp4(pack_nibbles(elements), scale, scale_2)


def _nvfp4_blocks(x: Tensor, scale_2: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Blocks (..., K/16, 16), their scales, the tensor-wide scale, and the product of both."""
    blocks = in_blocks(x.to(torch.float32), NVFP4_BLOCK)
    amax = blocks.abs().amax(-1)
    if scale_2 is None:
        scale_2 = nvfp4_scale_2(amax.max())
    ideal = amax / (E2M1.max * scale_2)
    ideal = torch.where(ideal == 0, 1.0, ideal).clamp(_SMALLEST_E4M3, E4M3.max)
    codes = torch.where(amax.isfinite(), E4M3.encode(ideal), E4M3.encode(amax * torch.nan))
    step = (E4M3.decode(codes) * scale_2).unsqueeze(-1)
    return blocks, codes.view(torch.float8_e4m3fn), scale_2, step


def decode_nvfp4(packed: Tensor, scale: Tensor, scale_2: Tensor) -> Tensor:
    """The numbers, float32 (..., K), of the parts that ``encode_nvfp4`` returns."""
    elements = in_blocks(E2M1.decode(unpack_nibbles(packed)), NVFP4_BLOCK)
    step = scale.to(torch.float32) * scale_2.to(torch.float32)
    return (elements * step.unsqueeze(-1)).flatten(-2)


def round_nvfp4(x: Tensor, amax: Tensor | None = None) -> Tensor:
    """Encode and decode, float32, as a layer's input is rounded.

    ``amax`` is the calibrated largest magnitude that fixes the tensor-wide scale (a checkpoint's
    ``input_scale`` times 6 x 448); what exceeds it saturates.
    """
    blocks, _, _, step = _nvfp4_blocks(x, None if amax is None else nvfp4_scale_2(amax))
    return E2M1.nearest(blocks / step).mul_(step).flatten(-2)


def mx_scale(amax: Tensor, element: MiniFloat, rule: ScaleRule) -> Tensor:
    """E8M0 codes, uint8, for blocks with these largest magnitudes; NaN for NaN and infinity."""
    amax = amax.to(torch.float32).contiguous()
    if rule is ScaleRule.CEIL:
        # Upstream's expression as it stands, in float32: its rounding is part of the rule.
        exponent = torch.ceil(torch.log2(amax / element.max)).clamp(-E8M0.bias, E8M0.bias)
        code = torch.where(amax == 0, 0.0, exponent + E8M0.bias)
    else:
        word = amax.view(torch.int32)
        if rule is ScaleRule.ROUND:
            word = word + (1 << (_F32_MANTISSA - 2))
        code = (word >> _F32_MANTISSA) - element.largest_exponent
    code = code.clamp(0, E8M0.largest_code)
    return torch.where(amax.isfinite(), code, E8M0.largest_code + 1).to(torch.uint8)


def encode_mx(
    x: Tensor, element: MiniFloat, rule: ScaleRule = ScaleRule.FLOOR
) -> tuple[Tensor, Tensor]:
    """Element codes, uint8 (..., K), and E8M0 scale codes, uint8 (..., K/32), of any MX format.

    Elements beyond the element format's largest number saturate. A block that holds NaN or
    infinity gets the scale NaN.

    Raises:
        ValueError: K is no multiple of 32.
    """
    blocks = in_blocks(x.to(torch.float32), MX_BLOCK)
    scale = mx_scale(blocks.abs().amax(-1), element, rule)
    codes = element.encode(blocks / E8M0.decode(scale).unsqueeze(-1))
    return codes.flatten(-2), scale


def _round_mx(x: Tensor, element: MiniFloat, rule: ScaleRule) -> Tensor:
    """``decode_mx(*encode_mx(x))`` without the codes."""
    blocks = in_blocks(x.to(torch.float32), MX_BLOCK)
    step = E8M0.decode(mx_scale(blocks.abs().amax(-1), element, rule)).unsqueeze(-1)
    return element.nearest(blocks / step).mul_(step).flatten(-2)


def decode_mx(codes: Tensor, scale: Tensor, element: MiniFloat) -> Tensor:
    """The numbers, float32 (..., K), of what ``encode_mx`` returns."""
    blocks = in_blocks(element.decode(codes), MX_BLOCK)
    return (blocks * E8M0.decode(scale).unsqueeze(-1)).flatten(-2)


def encode_mxfp4(x: Tensor, rule: ScaleRule = ScaleRule.FLOOR) -> Mxfp4:
    """E2M1 elements with E8M0 scales; see ``encode_mx``."""
    codes, scale = encode_mx(x, E2M1, rule)
    return Mxfp4(pack_nibbles(codes), scale)


def decode_mxfp4(packed: Tensor, scale: Tensor) -> Tensor:
    """The numbers, float32 (..., K)."""
    return decode_mx(unpack_nibbles(packed), scale, E2M1)


def round_mxfp4(x: Tensor, rule: ScaleRule = ScaleRule.FLOOR) -> Tensor:
    """Encode and decode, float32."""
    return _round_mx(x, E2M1, rule)


def encode_mxfp8(x: Tensor, rule: ScaleRule = ScaleRule.FLOOR) -> Mxfp8:
    """E4M3 elements with E8M0 scales; see ``encode_mx``."""
    codes, scale = encode_mx(x, E4M3, rule)
    return Mxfp8(codes.view(torch.float8_e4m3fn), scale)


def decode_mxfp8(elements: Tensor, scale: Tensor) -> Tensor:
    """The numbers, float32 (..., K)."""
    return decode_mx(elements.view(torch.uint8), scale, E4M3)


def round_mxfp8(x: Tensor, rule: ScaleRule = ScaleRule.FLOOR) -> Tensor:
    """Encode and decode, float32."""
    return _round_mx(x, E4M3, rule)
