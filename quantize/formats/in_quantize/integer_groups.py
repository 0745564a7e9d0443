"""Integers with one scale, and perhaps a zero point, per group; and how GPTQ and AWQ pack them.

A number is ``scale * (code - zero)``. Sources: the checkpoint layouts of auto-gptq and autoawq as
GPTQModel reads and writes them (a little-endian stream of codes in 32-bit words).
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

_WORD = 32
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)

GptqFormat = Literal["gptq", "gptq_v2"]


class IntGroups(NamedTuple):
    """``codes`` (..., K): int8, or uint8 with zero points; ``scale`` and ``zero`` (..., K/group).

    ``scale`` is float32; ``zero`` uint8, or None for codes around zero.
    """

    codes: Tensor
    scale: Tensor
    zero: Tensor | None


def encode_int_groups(x: Tensor, bits: int, group_size: int, symmetric: bool) -> IntGroups:
    """Round (..., K) to the nearest codes; ties go to the even one.

    Args:
        x: finite numbers of any floating dtype, taken as float32.
        bits: 2 to 8.
        group_size: divides K; -1 takes a whole row as one group.
        symmetric: codes from -2^(bits-1) to 2^(bits-1) - 1 with ``amax`` at the largest; otherwise
            codes from 0 to 2^bits - 1 spread over the group's range, zero always included.

    A group of zeros gets the scale 1.

    Raises:
        ValueError: ``bits`` out of range, or K no multiple of ``group_size``.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"bits is {bits}; 2 to 8 are possible")
    size = x.shape[-1] if group_size == -1 else group_size
    if size < 1 or x.shape[-1] % size:
        raise ValueError(f"rows of {x.shape[-1]} are no multiple of the group size {group_size}")
    groups = x.to(torch.float32).reshape(*x.shape[:-1], x.shape[-1] // size, size)
    if symmetric:
        top = (1 << (bits - 1)) - 1
        scale = _or_one(groups.abs().amax(-1) / top)
        codes = torch.round(groups / scale.unsqueeze(-1)).clamp(-top - 1, top)
        return IntGroups(codes.to(torch.int8).flatten(-2), scale, None)
    top = (1 << bits) - 1
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    scale = _or_one((high - low) / top)
    zero = torch.round(-low / scale).clamp(0, top)
    codes = (torch.round(groups / scale.unsqueeze(-1)) + zero.unsqueeze(-1)).clamp(0, top)
    return IntGroups(codes.to(torch.uint8).flatten(-2), scale, zero.to(torch.uint8))


def _or_one(scale: Tensor) -> Tensor:
    return torch.where(scale == 0, 1.0, scale)


def decode_int_groups(codes: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """The numbers, float32 (..., K); the group size follows from the shapes."""
    groups = codes.reshape(*scale.shape, codes.shape[-1] // scale.shape[-1]).to(torch.float32)
    if zero is not None:
        groups = groups - zero.to(torch.float32).unsqueeze(-1)
    return (groups * scale.to(torch.float32).unsqueeze(-1)).flatten(-2)


def pack_words(codes: Tensor, bits: int) -> Tensor:
    """Codes (..., N) as a little-endian stream in 32-bit words, int32 (..., N * bits / 32).

    Raises:
        ValueError: the stream does not end with a word.
    """
    count = codes.shape[-1]
    if count * bits % _WORD:
        raise ValueError(f"{count} codes of {bits} bits do not fill whole 32-bit words")
    run = math.lcm(bits, _WORD) // bits
    grouped = codes.to(torch.int64).reshape(*codes.shape[:-1], count // run, run)
    words = torch.zeros(
        *grouped.shape[:-1], run * bits // _WORD, dtype=torch.int64, device=codes.device
    )
    for index in range(run):
        word, shift = divmod(index * bits, _WORD)
        words[..., word] |= grouped[..., index] << shift
        if shift + bits > _WORD:
            words[..., word + 1] |= grouped[..., index] >> (_WORD - shift)
    words &= 0xFFFFFFFF
    return words.flatten(-2).to(torch.uint32).view(torch.int32)


def unpack_words(words: Tensor, bits: int) -> Tensor:
    """Undo ``pack_words``: int32 (..., W) to codes, uint8 (..., W * 32 / bits)."""
    mask = (1 << bits) - 1
    if _WORD % bits == 0:
        shifts = torch.arange(0, _WORD, bits, device=words.device, dtype=torch.int32)
        return ((words.unsqueeze(-1) >> shifts) & mask).to(torch.uint8).flatten(-2)
    period = math.lcm(bits, _WORD) // _WORD
    grouped = words.to(torch.int64).reshape(*words.shape[:-1], -1, period) & 0xFFFFFFFF
    codes = []
    for start in range(0, period * _WORD, bits):
        word, shift = divmod(start, _WORD)
        code = grouped[..., word] >> shift
        if shift + bits > _WORD:
            code = code | (grouped[..., word + 1] << (_WORD - shift))
        codes.append((code & mask).to(torch.uint8))
    return torch.stack(codes, dim=-1).flatten(-2)


def _check_gptq_bits(bits: int) -> None:
    if not 2 <= bits <= 8:
        raise ValueError(f"GPTQ with {bits} bits is not known; 2 to 8 are")


def pack_gptq(
    codes: Tensor, zeros: Tensor, bits: int, checkpoint_format: GptqFormat = "gptq"
) -> tuple[Tensor, Tensor]:
    """``qweight`` int32 (in * bits / 32, out) and ``qzeros`` int32 (groups, out * bits / 32).

    Args:
        codes: (out, in), 0 to 2^bits - 1.
        zeros: (groups, out), the zero points.
        bits: 2 to 8 (which of them a format stores, the table of formats says).
        checkpoint_format: ``gptq`` stores every zero point less one (modulo 2^bits), as auto-gptq
            did; ``gptq_v2`` stores it as it is.
    """
    _check_gptq_bits(bits)
    stored = zeros.to(torch.int64) - int(checkpoint_format == "gptq")
    qweight = pack_words(codes, bits).T.contiguous()
    return qweight, pack_words(stored & ((1 << bits) - 1), bits)


def unpack_gptq(
    qweight: Tensor,
    qzeros: Tensor,
    scales: Tensor,
    g_idx: Tensor | None,
    bits: int,
    checkpoint_format: GptqFormat = "gptq",
) -> Tensor:
    """The weight, float32 (out, in), of one GPTQ layer's tensors.

    Args:
        qweight: int32 (in * bits / 32, out).
        qzeros: int32 (groups, out * bits / 32).
        scales: floating point (groups, out).
        g_idx: group of every input, (in,); None for runs of equal length.
        bits: 2 to 8.
        checkpoint_format: how ``qzeros`` is stored; see ``pack_gptq``.

    Raises:
        ValueError: ``bits`` is none of those.
    """
    _check_gptq_bits(bits)
    codes = unpack_words(qweight.T.contiguous(), bits)
    zeros = unpack_words(qzeros, bits)
    if checkpoint_format == "gptq":
        zeros = (zeros + 1) & ((1 << bits) - 1)
    group = _groups_of_inputs(codes.shape[1], scales.shape[0], codes.device, g_idx)
    zeros = zeros.T.to(torch.float32)[:, group]
    return (codes.to(torch.float32) - zeros) * scales.T.to(torch.float32)[:, group]


def _groups_of_inputs(
    inputs: int, groups: int, device: torch.device, g_idx: Tensor | None
) -> Tensor:
    if g_idx is not None:
        return g_idx.to(torch.int64)
    return torch.arange(inputs, device=device) // math.ceil(inputs / groups)


def unpack_awq(qweight: Tensor, qzeros: Tensor, scales: Tensor, bits: int) -> Tensor:
    """The weight, float32 (out, in), of one AWQ layer's tensors (layout GEMM).

    Args:
        qweight: int32 (in, out * bits / 32).
        qzeros: int32 (groups, out * bits / 32).
        scales: floating point (groups, out).
        bits: 4 stands interleaved (0, 2, 4, 6, 1, 3, 5, 7) in its words, others in order.
    """
    codes, zeros = _in_awq_order(qweight, bits), _in_awq_order(qzeros, bits)
    group = _groups_of_inputs(codes.shape[0], scales.shape[0], codes.device, None)
    weight = codes.to(torch.float32) - zeros.to(torch.float32)[group]
    return (weight * scales.to(torch.float32)[group]).T.contiguous()


def _in_awq_order(words: Tensor, bits: int) -> Tensor:
    codes = unpack_words(words, bits)
    if bits != 4:
        return codes
    place = torch.tensor(_AWQ_ORDER, device=codes.device).argsort()
    return codes.unflatten(-1, (-1, len(_AWQ_ORDER)))[..., place].flatten(-2)


def unpack_rows(
    packed: Tensor, scales: Tensor, zeros: Tensor | None, g_idx: Tensor | None, bits: int
) -> Tensor:
    """The weight, float32 (out, in), of one ``pack-quantized`` layer of compressed-tensors.

    Codes around zero are stored offset by half their range, zero points too
    (compressed_tensors/compressors/quantized_compressors/pack_quantized.py).

    Args:
        packed: int32 (out, in * bits / 32).
        scales: floating point (out, groups).
        zeros: int32 (out * bits / 32, groups); None for codes around zero.
        g_idx: group of every input, (in,); None for runs of equal length.
        bits: 4 or 8.
    """
    codes = unpack_words(packed, bits).to(torch.float32)
    group = _groups_of_inputs(codes.shape[1], scales.shape[1], codes.device, g_idx)
    if zeros is None:
        shift: Tensor | int = 1 << (bits - 1)
    else:
        shift = unpack_words(zeros.T.contiguous(), bits).T.to(torch.float32)[:, group]
    return (codes - shift) * scales.to(torch.float32)[:, group]
