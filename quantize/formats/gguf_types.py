"""The storage types of GGUF files: how many weights lie together in how many bytes.

A row that is no multiple of a type's block is stored as another type, with smaller blocks
(``tensor_type_fallback`` in llama.cpp's ``src/llama-quant.cpp``).

Source of the numbers and block sizes: gguf-py/gguf/constants.py (GGMLQuantizationType,
GGML_QUANT_SIZES) of llama.cpp; a test holds this table against it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class BlockType:
    """A GGML storage type: ``values`` weights are stored together in ``size_bytes`` bytes."""

    name: str
    values: int
    size_bytes: int

    @property
    def bits_per_weight(self) -> float:
        """Effective bits: scales and minima inside the block count."""
        return 8 * self.size_bytes / self.values


# By the number that a tensor's entry in the file names.
BLOCK_TYPES: Mapping[int, BlockType] = {
    0: BlockType("F32", 1, 4),
    1: BlockType("F16", 1, 2),
    2: BlockType("Q4_0", 32, 18),
    3: BlockType("Q4_1", 32, 20),
    6: BlockType("Q5_0", 32, 22),
    7: BlockType("Q5_1", 32, 24),
    8: BlockType("Q8_0", 32, 34),
    10: BlockType("Q2_K", 256, 84),
    11: BlockType("Q3_K", 256, 110),
    12: BlockType("Q4_K", 256, 144),
    13: BlockType("Q5_K", 256, 176),
    14: BlockType("Q6_K", 256, 210),
    16: BlockType("IQ2_XXS", 256, 66),
    17: BlockType("IQ2_XS", 256, 74),
    18: BlockType("IQ3_XXS", 256, 98),
    19: BlockType("IQ1_S", 256, 50),
    20: BlockType("IQ4_NL", 32, 18),
    21: BlockType("IQ3_S", 256, 110),
    22: BlockType("IQ2_S", 256, 82),
    23: BlockType("IQ4_XS", 256, 136),
    24: BlockType("I8", 1, 1),
    25: BlockType("I16", 1, 2),
    26: BlockType("I32", 1, 4),
    27: BlockType("I64", 1, 8),
    28: BlockType("F64", 1, 8),
    29: BlockType("IQ1_M", 256, 56),
    30: BlockType("BF16", 1, 2),
    34: BlockType("TQ1_0", 256, 54),
    35: BlockType("TQ2_0", 256, 66),
    39: BlockType("MXFP4", 32, 17),
    40: BlockType("NVFP4", 64, 36),
    41: BlockType("Q1_0", 128, 18),
    42: BlockType("Q2_0", 64, 18),
}
GGUF_TYPES: Mapping[str, BlockType] = {block.name: block for block in BLOCK_TYPES.values()}

SMALLEST_BLOCK = 32
# Of the K-quants and the low-bit types (QK_K in llama.cpp).
SUPER_BLOCK = 256
# What llama.cpp stores in place of a type whose blocks do not divide a row.
FALLBACKS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S"), "IQ4_NL"),
        **dict.fromkeys(("IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
        **dict.fromkeys(("Q2_K", "Q3_K"), "Q4_0"),
        "Q4_K": "Q5_0",
        "Q5_K": "Q5_1",
        "Q6_K": "Q8_0",
    }
)


def stored_type(kind: str, width: int) -> str:
    """The type in which a row of ``width`` values is stored that is to be ``kind``."""
    return FALLBACKS.get(kind, kind) if width % GGUF_TYPES[kind].values else kind
