"""GGUF's block formats Q8_0, Q4_0, Q4_K and Q6_K, byte for byte as llama.cpp stores them.

After the block structures of ggml's ``ggml-common.h`` and the reference quantizers of its
``ggml-quants.c`` (without an importance matrix). The blocks lie along the last axis.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from quantize.formats.gguf_types import GGUF_TYPES, BlockType
from quantize.formats.in_quantize.gguf_search import (
    first_largest,
    nearest_int,
    quotient,
    search_scale,
    search_scale_and_minimum,
    sum_in_order,
)

_BLOCKS_AT_ONCE = 1 << 14  # bounds the working memory, at some hundred bytes per number
_NEGLIGIBLE = 1e-15


@dataclass(frozen=True, kw_only=True)
class GgufBlocks:
    """One format: ``block.values`` numbers in ``block.size_bytes`` bytes."""

    block: BlockType
    encode_blocks: Callable[[Tensor], Tensor]
    decode_blocks: Callable[[Tensor], Tensor]

    @property
    def name(self) -> str:
        """llama.cpp's name."""
        return self.block.name

    def encode(self, x: Tensor) -> Tensor:
        """Bytes, uint8 (..., K / values * size_bytes), of finite numbers (..., K).

        Raises:
            ValueError: K is no multiple of the block's values, or a number is not finite.
        """
        if not x.isfinite().all():
            raise ValueError(f"{self.name} holds finite numbers only; NaN or infinity was given")
        return self._convert(x.to(torch.float32), self.block.values, self.encode_blocks)

    def decode(self, data: Tensor) -> Tensor:
        """The numbers, float32 (..., K), of bytes as ``encode`` returns them.

        Raises:
            ValueError: the last axis is no multiple of the block's bytes.
        """
        return self._convert(data, self.block.size_bytes, self.decode_blocks)

    def round(self, x: Tensor) -> Tensor:
        """Encode and decode, float32."""
        return self.decode(self.encode(x))

    def _convert(self, x: Tensor, size: int, convert: Callable[[Tensor], Tensor]) -> Tensor:
        if x.ndim == 0 or x.shape[-1] % size:
            raise ValueError(
                f"{self.name}: the last axis of shape {tuple(x.shape)} is no multiple of {size}"
            )
        parts = x.reshape(-1, size).split(_BLOCKS_AT_ONCE)
        return torch.cat([convert(part) for part in parts]).reshape(*x.shape[:-1], -1)


def _half_bytes(x: Tensor) -> Tensor:
    """float32 (blocks,) as binary16, uint8 (blocks, 2)."""
    return x.to(torch.float16).unsqueeze(-1).view(torch.uint8)


def _half(data: Tensor) -> Tensor:
    """Undo ``_half_bytes``; float32 (blocks, 1)."""
    return data.contiguous().view(torch.float16).to(torch.float32)


def _reciprocal_or_zero(d: Tensor) -> Tensor:
    return torch.where(d == 0, 0.0, 1 / d)


def _encode_q8_0(x: Tensor) -> Tensor:
    d = x.abs().amax(-1) / 127
    scaled = x * _reciprocal_or_zero(d).unsqueeze(-1)
    # C's roundf: ties away from zero. Where 1/d overflows, d is 0 in half precision anyway.
    whole = scaled.abs().trunc()
    away = whole + (scaled.abs() - whole >= 0.5)
    codes = torch.where(scaled.isfinite(), away * scaled.sign(), 0.0).to(torch.int8)
    return torch.cat([_half_bytes(d), codes.view(torch.uint8)], dim=-1)


def _decode_q8_0(data: Tensor) -> Tensor:
    return data[:, 2:].contiguous().view(torch.int8).to(torch.float32) * _half(data[:, :2])


def _encode_q4_0(x: Tensor) -> Tensor:
    d = (first_largest(x.T) + 0.0) / -8  # ggml takes -0 for 0
    shifted = x * _reciprocal_or_zero(d).unsqueeze(-1) + 8.5
    codes = torch.where(shifted.isfinite(), shifted, 0.0).to(torch.uint8).clamp(max=15)
    return torch.cat([_half_bytes(d), codes[:, :16] | (codes[:, 16:] << 4)], dim=-1)


def _decode_q4_0(data: Tensor) -> Tensor:
    packed = data[:, 2:]
    codes = torch.cat([packed & 0xF, packed >> 4], dim=-1).to(torch.float32) - 8
    return codes * _half(data[:, :2])


def _encode_q4_k(x: Tensor) -> Tensor:
    blocks = x.shape[0]
    groups = x.reshape(blocks * 8, 32).T.contiguous()
    mean_square = sum_in_order(groups * groups) / 32
    # torch's float32 root is off by one place now and then; float64's rounds to the right one.
    weights = mean_square.double().sqrt().to(torch.float32) + groups.abs()
    scale, minimum, codes = (
        part.reshape(*part.shape[:-1], blocks, 8)
        for part in search_scale_and_minimum(groups, weights)
    )
    # Adding zero makes -0 to 0.
    top_scale = scale.amax(-1).clamp(min=0) + 0.0
    top_minimum = minimum.amax(-1).clamp(min=0) + 0.0
    scale_6 = _six_bits(scale, top_scale)
    minimum_6 = _six_bits(minimum, top_minimum)
    d, d_minimum = _half_bytes(top_scale / 63), _half_bytes(top_minimum / 63)
    step = _half(d) * scale_6
    offset = _half(d_minimum) * minimum_6
    exact = nearest_int((groups.reshape(32, blocks, 8) + offset) / step).clamp(0, 15)
    codes = torch.where(step == 0, codes, exact).to(torch.uint8).permute(1, 2, 0)
    packed = codes[:, 0::2] | (codes[:, 1::2] << 4)
    return torch.cat([d, d_minimum, _pack_six_bits(scale_6, minimum_6), packed.flatten(1)], dim=-1)


def _six_bits(values: Tensor, top: Tensor) -> Tensor:
    inverse = torch.where(top > 0, quotient(63.0, top), 0.0).unsqueeze(-1)
    return (nearest_int(inverse * values) & 0xFF).clamp(max=63).to(torch.uint8)


def _pack_six_bits(scale: Tensor, minimum: Tensor) -> Tensor:
    """Eight scales and eight minima of 6 bits in 12 bytes: the last four's top bits ride along."""
    low_scale, high_scale = scale.chunk(2, dim=-1)
    low_minimum, high_minimum = minimum.chunk(2, dim=-1)
    return torch.cat(
        [
            low_scale | ((high_scale >> 4) << 6),
            low_minimum | ((high_minimum >> 4) << 6),
            (high_scale & 0xF) | ((high_minimum & 0xF) << 4),
        ],
        dim=-1,
    )


def _decode_q4_k(data: Tensor) -> Tensor:
    d, d_minimum = _half(data[:, :2]), _half(data[:, 2:4])
    first, second, third = data[:, 4:16].split(4, dim=-1)
    scale = torch.cat([first & 63, (third & 0xF) | ((first >> 6) << 4)], dim=-1)
    minimum = torch.cat([second & 63, (third >> 4) | ((second >> 6) << 4)], dim=-1)
    packed = data[:, 16:].reshape(-1, 4, 32)
    codes = torch.stack([packed & 0xF, packed >> 4], dim=2).reshape(-1, 8, 32)
    numbers = codes * (d * scale).unsqueeze(-1) - (d_minimum * minimum).unsqueeze(-1)
    return numbers.flatten(1)


def _encode_q6_k(x: Tensor) -> Tensor:
    blocks = x.shape[0]
    groups = x.reshape(blocks * 16, 16).T.contiguous()
    scale, codes = search_scale(groups, 32)
    scale, codes = scale.reshape(blocks, 16), codes.reshape(16, blocks, 16)
    inverse = quotient(-128.0, first_largest(scale.T))
    d = _half_bytes(1 / inverse)
    scale_8 = nearest_int(inverse.unsqueeze(-1) * scale).clamp(max=127).to(torch.int8)
    step = _half(d) * scale_8
    exact = nearest_int(groups.reshape(16, blocks, 16) / step).clamp(-32, 31)
    codes = (torch.where(step == 0, codes, exact) + 32).to(torch.uint8)
    # (blocks, half of the super-block, quarter of that half, 32)
    quarters = codes.permute(1, 2, 0).reshape(blocks, 2, 4, 32)
    low, high = quarters & 0xF, quarters >> 4
    low_bytes = low[:, :, :2] | (low[:, :, 2:] << 4)
    high_bytes = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    data = torch.cat(
        [low_bytes.flatten(1), high_bytes.flatten(1), scale_8.view(torch.uint8), d], dim=-1
    )
    return data.masked_fill((scale.abs().amax(-1) < _NEGLIGIBLE).unsqueeze(-1), 0)


def _decode_q6_k(data: Tensor) -> Tensor:
    packed = data[:, :128].reshape(-1, 2, 2, 32)
    low = torch.cat([packed & 0xF, packed >> 4], dim=2)
    shifts = torch.arange(0, 8, 2, dtype=torch.uint8, device=data.device)
    high = (data[:, 128:192].reshape(-1, 2, 1, 32) >> shifts[:, None]) & 3
    codes = (low | (high << 4)).reshape(-1, 16, 16).to(torch.float32) - 32
    scale = data[:, 192:208].contiguous().view(torch.int8).to(torch.float32)
    return (codes * (_half(data[:, 208:]) * scale).unsqueeze(-1)).flatten(1)


def _blocks(
    name: str, encode: Callable[[Tensor], Tensor], decode: Callable[[Tensor], Tensor]
) -> GgufBlocks:
    return GgufBlocks(block=GGUF_TYPES[name], encode_blocks=encode, decode_blocks=decode)


Q8_0 = _blocks("Q8_0", _encode_q8_0, _decode_q8_0)
Q4_0 = _blocks("Q4_0", _encode_q4_0, _decode_q4_0)
Q4_K = _blocks("Q4_K", _encode_q4_k, _decode_q4_k)
Q6_K = _blocks("Q6_K", _encode_q6_k, _decode_q6_k)
