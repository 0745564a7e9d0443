"""Read from its tensors' shapes alone how a GPTQ or AWQ layer is packed.

Both keep a layer of ``inputs`` x ``outputs`` weights as unsigned integers of ``bits`` bits laid end
to end in int32 words, beside one scale and one zero point per group of inputs:

=========  ===========================  ===========================
tensor     GPTQ (as auto-gptq packs)    AWQ (as autoawq packs, GEMM)
=========  ===========================  ===========================
qweight    inputs * bits / 32, outputs  inputs, outputs * bits / 32
qzeros     groups, outputs * bits / 32  groups, outputs * bits / 32
scales     groups, outputs              groups, outputs
g_idx      inputs                       none
=========  ===========================  ===========================

So the width follows from ``qzeros`` and ``scales``, whatever a configuration says of it. Three-bit
values fill three words with thirty-two.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from quantize.artifact.stored_tensor import StoredTensor

PARTS = ("qweight", "qzeros", "scales", "g_idx")
_WORD_BITS = 32
_SCALE_KINDS = ("F16", "BF16")


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How one layer is packed; ``layout`` is ``GPTQ-INT4``, ``AWQ-INT4`` and the like."""

    layout: str
    inputs: int
    outputs: int
    groups: int

    @property
    def group_size(self) -> int:
        """Inputs that share a scale."""
        return self.inputs // self.groups


def find_packing(parts: Mapping[str, StoredTensor]) -> Packing | None:
    """How a layer with these parts is packed; None where they do not fit together."""
    weight, zeros, scales = (parts.get(part) for part in PARTS[:3])
    if weight is None or zeros is None or scales is None:
        return None
    words = all(part.kind == "I32" for name, part in parts.items() if name != "scales")
    flat = any(len(part.shape) != 2 or not part.elements for part in (weight, zeros, scales))
    if not words or flat or scales.kind not in _SCALE_KINDS:
        return None
    groups, outputs = scales.shape
    bits, rest = divmod(_WORD_BITS * zeros.shape[1], outputs)
    if rest or bits == 0 or zeros.shape[0] != groups:
        return None
    is_gptq = weight.shape[1] == outputs
    inputs = weight.shape[0] * _WORD_BITS // bits if is_gptq else weight.shape[0]
    index = parts.get("g_idx")
    if (
        weight.elements * _WORD_BITS != inputs * outputs * bits
        or inputs % groups
        or (index is not None) != is_gptq
        or (index is not None and index.elements != inputs)
    ):
        return None
    family = "GPTQ" if is_gptq else "AWQ"
    return Packing(layout=f"{family}-INT{bits}", inputs=inputs, outputs=outputs, groups=groups)
