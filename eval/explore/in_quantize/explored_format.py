"""What the explorer knows about one number format."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from eval.explore.explorer_figures import FormatFacts
from quantize.formats.in_quantize.minifloat import MiniFloat

Family = Literal["floating point", "scaled blocks", "integer groups", "GGUF"]
Round = Callable[[torch.Tensor], torch.Tensor]
_LARGEST_FP32 = torch.finfo(torch.float32).max


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format. ``round`` maps float32 (..., K) to float32 (..., K), K a multiple of ``block``.

    ``element`` is the format of one value where that is a float; ``bits`` its sign, exponent and
    mantissa bits. ``scale_bits`` and ``block`` are those of FormatFacts.
    """

    name: str
    label: str
    family: Family
    bits: tuple[int, int, int]
    scaling: str
    round: Round
    scale_bits: float = 0.0
    block: int | None = 0
    element: MiniFloat | None = None

    def fits(self, width: int) -> bool:
        """Whether rows of ``width`` values can be cut into this format's blocks."""
        return not self.block or width % self.block == 0

    def facts(self) -> FormatFacts:
        """The row as it stands in the file."""
        sign, exponent, mantissa = self.bits
        smallest = largest = normal = None
        if self.element is not None:
            values = positive(self.element)
            smallest, largest = float(values[0]), float(values[-1])
            # All of them have subnormals, which are multiples of the smallest value.
            normal = smallest * 2.0**mantissa
        elif self.name == "fp32":
            smallest, normal, largest = 2.0**-149, 2.0**-126, _LARGEST_FP32
        return FormatFacts(
            name=self.name,
            label=self.label,
            family=self.family,
            sign_bits=sign,
            exponent_bits=exponent,
            mantissa_bits=mantissa,
            scale_bits=self.scale_bits,
            block=self.block,
            scaling=self.scaling,
            smallest=smallest,
            smallest_normal=normal,
            largest=largest,
        )


def positive(element: MiniFloat) -> torch.Tensor:
    """The finite values above zero, ascending."""
    values = element.values().to(torch.float64)
    return values[torch.isfinite(values) & (values > 0)].unique()
