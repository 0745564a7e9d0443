"""Which storage type llama.cpp gives to which weight of a GGUF file type.

The facts are those of ``llama_tensor_get_type_impl`` in ``src/llama-quant.cpp`` of llama.cpp (the
version inside llama-cpp-python 0.3.36), for Llama, Mistral, Qwen and Mixtral shapes. Rows that are
no multiple of a type's block get another type instead (formats/gguf_types.py).
"""

from collections.abc import Mapping
from types import MappingProxyType

from quantize.formats.storage_formats import FORMATS
from quantize.source.model_shape import Linear, ModelShape, Role

_LOW = frozenset({"IQ2_XXS", "IQ2_XS", "IQ2_M", "IQ1_M"})
_FIVE_BIT_HEAD = _LOW | {"IQ3_XXS"}
_EMBEDDING = {
    "IQ2_XXS": "Q2_K",
    "IQ2_XS": "Q2_K",
    "IQ1_M": "Q2_K",
    "IQ2_M": "IQ3_S",
    "IQ3_XXS": "IQ3_S",
}
# Roles that a mix treats alike in every block, in models without experts.
_ROLE: Mapping[str, Mapping[Role, str]] = MappingProxyType(
    {
        "Q2_K": {"o": "Q3_K", "down": "Q3_K"},
        "Q3_K_M": {"o": "Q4_K"},
        "IQ3_XXS": {"o": "IQ3_S", "q": "IQ2_S", "k": "IQ2_S"},
        "IQ1_M": {"o": "IQ2_XXS"},
        "IQ2_M": {"o": "IQ3_S"},
    }
)
_FIVE_BIT_OUTPUT = frozenset({"Q2_K", "IQ3_XXS", "Q3_K_M", "Q4_K_M", "IQ3_S", "IQ4_XS"})
_GROUPED = 4
_SHARED_VALUES_BLOCKS = 80


def base_type(file_type: str) -> str:
    """What most weights of a file type are stored as."""
    return FORMATS[f"gguf-{file_type.lower()}"].layers[0].name


def head_type(file_type: str) -> str:
    """The output head's type; with a shared embedding the embedding's too."""
    base = base_type(file_type)
    if base in ("BF16", "Q8_0"):
        return base
    return "Q5_K" if file_type in _FIVE_BIT_HEAD else "Q6_K"


def embedding_type(file_type: str, *, tied: bool) -> str:
    """The type of the embedding."""
    return head_type(file_type) if tied else _EMBEDDING.get(file_type, base_type(file_type))


def linear_type(file_type: str, linear: Linear, shape: ModelShape) -> str:
    """The type of one linear layer of one block."""
    base = base_type(file_type)
    if base in ("BF16", "Q8_0"):
        return base
    eight = shape.experts == 8
    if linear.role == "v":
        return _value_type(file_type, linear.block, shape)
    if linear.role == "k" and eight:
        return "Q4_K" if file_type in _LOW else "Q8_0"
    if linear.role == "o" and eight:
        return "Q5_K" if file_type in _FIVE_BIT_OUTPUT | _LOW else base
    if linear.role == "down":
        return _down_type(file_type, linear.block, shape)
    return _ROLE.get(file_type, {}).get(linear.role, base)


def _value_type(file_type: str, block: int, shape: ModelShape) -> str:
    """The value projection: small where heads share it, so it gets more bits."""
    grouped = shape.heads // shape.kv_heads >= _GROUPED
    if file_type in _LOW:
        if grouped or shape.experts >= _GROUPED:
            return "Q4_K"
        return "IQ3_S" if file_type == "IQ2_M" else "Q2_K"
    kind = base_type(file_type)
    if file_type in ("Q2_K", "IQ3_XXS", "IQ3_S"):
        kind = "Q4_K" if grouped else {"Q2_K": "Q3_K"}.get(file_type, kind)
    elif file_type == "Q3_K_M":
        kind = "Q5_K" if block < 2 else "Q4_K"
    elif file_type == "IQ4_XS" and grouped:
        kind = "Q5_K"
    elif file_type in ("Q4_K_M", "Q5_K_M") and _gets_more_bits(block, shape.blocks):
        kind = "Q6_K"
    if shape.blocks == _SHARED_VALUES_BLOCKS and kind in ("Q3_K", "Q4_K"):
        kind = "Q5_K"
    return "Q8_0" if shape.experts == 8 else kind


def _down_type(file_type: str, block: int, shape: ModelShape) -> str:
    """The feed-forward layer that writes back, the most sensitive of the large ones."""
    base = base_type(file_type)
    if file_type in _LOW:
        wider = "IQ3_S" if file_type == "IQ2_M" else "Q2_K"
        return wider if block < shape.blocks // 8 else base
    if file_type == "Q3_K_M":
        return "Q5_K" if block < shape.blocks // 16 else "Q4_K"
    if file_type in ("Q4_K_M", "Q5_K_M") and _gets_more_bits(block, shape.blocks):
        return "Q6_K"
    return _ROLE.get(file_type, {}).get("down", base)


def _gets_more_bits(block: int, blocks: int) -> bool:
    """The first and the last eighth of the blocks, and every third between them."""
    eighth = blocks // 8
    return block < eighth or block >= 7 * blocks // 8 or (block - eighth) % 3 == 2
