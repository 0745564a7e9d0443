"""Floating-point formats of 4 to 16 bits, and the power-of-two scale format E8M0.

Every format is one row of parameters; one encoder and one decoder serve them all. Sources:
IEEE 754-2019 (binary16), the "OCP 8-bit Floating Point Specification (OFP8)" 1.0 (E4M3, E5M2) and
the "OCP Microscaling Formats (MX) Specification" 1.0 (E3M2, E2M3, E2M1, E8M0).
"""

from dataclasses import dataclass
from enum import Enum
from functools import cache

import torch
from torch import Tensor

_F32_MANTISSA = 23
_F32_BIAS = 127
_F32_INFINITY = 0x7F800000


class Specials(Enum):
    """What a format keeps codes for beside finite numbers."""

    INFINITY_AND_NAN = "the top exponent, as in IEEE 754"
    ONE_NAN = "all bits of the magnitude set is NaN; there is no infinity"
    NOTHING = "every code is a finite number"


@dataclass(frozen=True, kw_only=True)
class MiniFloat:
    """One format: a sign (if ``signed``), exponent and mantissa, in this order from the top bit.

    ``saturates`` says where values beyond the largest finite one (infinities too) go by default:
    to the largest finite one, or to infinity (NaN where the format has no infinity).
    """

    name: str
    exponent_bits: int
    mantissa_bits: int
    bias: int
    specials: Specials
    saturates: bool
    signed: bool = True

    @property
    def bits(self) -> int:
        """Bits of one code."""
        return int(self.signed) + self.exponent_bits + self.mantissa_bits

    @property
    def largest_code(self) -> int:
        """The code of the largest finite number."""
        count = 1 << (self.exponent_bits + self.mantissa_bits)
        match self.specials:
            case Specials.INFINITY_AND_NAN:
                return count - (1 << self.mantissa_bits) - 1
            case Specials.ONE_NAN:
                return count - 2
            case Specials.NOTHING:
                return count - 1

    @property
    def max(self) -> float:
        """The largest finite number."""
        return float(self._magnitude_of(self.largest_code))

    @property
    def largest_exponent(self) -> int:
        """Exponent of the largest finite number: what the MX specification calls emax."""
        return (self.largest_code >> self.mantissa_bits) - self.bias

    @property
    def has_subnormals(self) -> bool:
        """Whether exponent code 0 stands for subnormal numbers and zero (not so in E8M0)."""
        return self.mantissa_bits > 0

    def _magnitude_of(self, code: int) -> float:
        exponent, mantissa = code >> self.mantissa_bits, code & ((1 << self.mantissa_bits) - 1)
        if exponent == 0 and self.has_subnormals:
            return mantissa * 2.0 ** (1 - self.bias - self.mantissa_bits)
        significand = 1 + mantissa / (1 << self.mantissa_bits)
        return float(significand * 2.0 ** (exponent - self.bias))

    @property
    def _nan_code(self) -> int:
        """What NaN becomes, without its sign."""
        all_set = (1 << (self.exponent_bits + self.mantissa_bits)) - 1
        if self.specials is Specials.INFINITY_AND_NAN:
            return all_set - (1 << (self.mantissa_bits - 1)) + 1  # quiet, without a payload
        return all_set

    def encode(self, x: Tensor, *, saturate: bool | None = None) -> Tensor:
        """Codes of the nearest numbers of the format; ties go to the even code.

        Args:
            x: any floating dtype and shape; taken as float32.
            saturate: overrides ``saturates``.

        Returns:
            Codes of the same shape: uint8, or uint16 where the format has more than 8 bits. NaN
            stays NaN; in a format without NaN it becomes the largest number, which is what
            NVIDIA's conversions do (PTX ISA, ``cvt``). E8M0 has neither sign nor zero: negative
            numbers become NaN, zero the smallest scale, and ties go up.
        """
        word = x.to(torch.float32).contiguous().view(torch.int32)
        magnitude = word & 0x7FFFFFFF
        code = self._rounded_magnitude(magnitude)
        beyond = code > self.largest_code
        if (self.saturates if saturate is None else saturate) or (
            self.specials is Specials.NOTHING
        ):
            code = code.clamp(max=self.largest_code)
        else:
            code = torch.where(beyond, self.largest_code + 1, code)
        is_nan = magnitude > _F32_INFINITY
        if not self.signed:
            code = torch.where(is_nan | ((word < 0) & (magnitude > 0)), self._nan_code, code)
            return code.to(torch.uint8)
        code = torch.where(is_nan, self._nan_code, code)
        sign = (word >> 31) & 1
        if self.specials is Specials.NOTHING:
            sign = sign.masked_fill(is_nan, 0)
        code = code | (sign << (self.bits - 1))
        return code.to(torch.uint8 if self.bits <= 8 else torch.uint16)

    def _rounded_magnitude(self, magnitude: Tensor) -> Tensor:
        """Code of |x| from float32's bits without the sign; too large values run over."""
        shift = _F32_MANTISSA - self.mantissa_bits
        if not self.has_subnormals:
            # float32 holds 2^-127, the number of code 0, as a subnormal one with half the leading
            # bit: everything below three quarters of it stays code 0.
            lowest = (magnitude >= 3 << (_F32_MANTISSA - 2)).to(torch.int32)
            normal = (magnitude + (1 << (shift - 1))) >> shift
            return torch.where(magnitude < 1 << _F32_MANTISSA, lowest, normal)
        odd = (magnitude >> shift) & 1
        normal = (magnitude + ((1 << (shift - 1)) - 1) + odd) >> shift
        normal = normal - ((_F32_BIAS - self.bias) << self.mantissa_bits)
        # Adding a number whose last place is the subnormals' step lets float32's own addition
        # round to nearest even; the sum's low bits are the code.
        step_exponent = 1 - self.bias - self.mantissa_bits
        anchor = torch.tensor(2.0 ** (step_exponent + _F32_MANTISSA), device=magnitude.device)
        small = (magnitude.view(torch.float32) + anchor).view(torch.int32)
        small = small - anchor.view(torch.int32)
        smallest_normal = (1 - self.bias + _F32_BIAS) << _F32_MANTISSA
        return torch.where(magnitude < smallest_normal, small, normal)

    def decode(self, codes: Tensor) -> Tensor:
        """The numbers that codes stand for, as float32 of the same shape."""
        if self.bits <= 8:
            return _table(self, codes.device)[codes.to(torch.int64)]
        return self._decode_bits(codes)

    def _decode_bits(self, codes: Tensor) -> Tensor:
        word = codes.to(torch.int32)
        magnitude = word & ((1 << (self.exponent_bits + self.mantissa_bits)) - 1)
        shift = _F32_MANTISSA - self.mantissa_bits
        wide = (magnitude << shift) + ((_F32_BIAS - self.bias) << _F32_MANTISSA)
        value = wide.view(torch.float32)
        if self.has_subnormals:
            small = magnitude.to(torch.float32) * 2.0 ** (1 - self.bias - self.mantissa_bits)
            value = torch.where(magnitude < (1 << self.mantissa_bits), small, value)
        else:
            # Exponent code 0 is 2^-127, which float32 holds only as a subnormal number.
            value = torch.where(magnitude == 0, 2.0**-self.bias, value)
        if self.specials is not Specials.NOTHING:
            value = torch.where(magnitude > self.largest_code, torch.nan, value)
        if self.specials is Specials.INFINITY_AND_NAN:
            value = torch.where(magnitude == self.largest_code + 1, torch.inf, value)
        negative = ((word >> (self.bits - 1)) & 1).bool() if self.signed else magnitude < 0
        return torch.where(negative, -value, value)

    def round(self, x: Tensor, *, saturate: bool | None = None) -> Tensor:
        """The nearest numbers of the format, as float32: ``decode(encode(x))``."""
        return self.decode(self.encode(x, saturate=saturate))

    def nearest(self, x: Tensor) -> Tensor:
        """``round(x, saturate=True)`` of float32, several times as fast: float32 rounds itself.

        Dividing by a power of two is exact, and ``torch.round`` takes ties to the even multiple,
        which has the even code. NaN stays NaN in every format; not for E8M0.
        """
        assert self.has_subnormals
        exponent = x.contiguous().view(torch.int32) & _F32_INFINITY
        smallest_normal = (1 - self.bias + _F32_BIAS) << _F32_MANTISSA
        step = exponent.clamp_(min=smallest_normal) - (self.mantissa_bits << _F32_MANTISSA)
        places = step.view(torch.float32)
        return (x / places).round_().mul_(places).clamp_(-self.max, self.max)

    def values(self) -> Tensor:
        """What every code stands for, in the order of the codes: float32, 2 ** bits of them."""
        return self._decode_bits(torch.arange(1 << self.bits, dtype=torch.int32))


@cache
def _table(number_format: MiniFloat, device: torch.device) -> Tensor:
    return number_format.values().to(device)


FP16 = MiniFloat(
    name="FP16",
    exponent_bits=5,
    mantissa_bits=10,
    bias=15,
    specials=Specials.INFINITY_AND_NAN,
    saturates=False,
)
BF16 = MiniFloat(
    name="BF16",
    exponent_bits=8,
    mantissa_bits=7,
    bias=127,
    specials=Specials.INFINITY_AND_NAN,
    saturates=False,
)
E4M3 = MiniFloat(
    name="FP8 E4M3",
    exponent_bits=4,
    mantissa_bits=3,
    bias=7,
    specials=Specials.ONE_NAN,
    saturates=True,
)
E5M2 = MiniFloat(
    name="FP8 E5M2",
    exponent_bits=5,
    mantissa_bits=2,
    bias=15,
    specials=Specials.INFINITY_AND_NAN,
    saturates=True,
)
E3M2 = MiniFloat(
    name="FP6 E3M2",
    exponent_bits=3,
    mantissa_bits=2,
    bias=3,
    specials=Specials.NOTHING,
    saturates=True,
)
E2M3 = MiniFloat(
    name="FP6 E2M3",
    exponent_bits=2,
    mantissa_bits=3,
    bias=1,
    specials=Specials.NOTHING,
    saturates=True,
)
E2M1 = MiniFloat(
    name="FP4 E2M1",
    exponent_bits=2,
    mantissa_bits=1,
    bias=1,
    specials=Specials.NOTHING,
    saturates=True,
)
E8M0 = MiniFloat(
    name="E8M0",
    exponent_bits=8,
    mantissa_bits=0,
    bias=127,
    specials=Specials.ONE_NAN,
    saturates=False,
    signed=False,
)
