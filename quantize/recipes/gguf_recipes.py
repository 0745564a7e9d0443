"""The recipes of llama.cpp: GGUF files of its file types, with and without an importance matrix.

A file type is a mix: most layers get the type it is named after, some a wider one, the more of
them the fewer layers a model has (llama-quant.cpp of llama.cpp). The ranges of effective bits allow
for that.
"""

from types import MappingProxyType

from quantize.recipes.recipe import Parameter, Recipe

_SUPER_BLOCK = 256
# What every mix uses for the few weights that all experts of a mixture share.
_SHARED_BY_EXPERTS = frozenset({"Q8_0", "Q5_K", "Q4_K"})


def _gguf(
    file_type: str,
    bits: float,
    effective_bits: tuple[float, float],
    kinds: str,
    row_multiple: int = _SUPER_BLOCK,
    *,
    imatrix: bool = False,
    suffix: str = "",
) -> Recipe:
    """A GGUF file of one llama.cpp file type, quantized from the BF16 one."""
    parameters: dict[str, Parameter] = {"file_type": file_type}
    if imatrix:
        parameters["imatrix"] = True
    is_source = file_type == "BF16"
    return Recipe(
        name=f"gguf-{file_type.lower()}{suffix}",
        method="gguf",
        checkpoint="gguf",
        weight_format="gguf",
        bits=bits,
        effective_bits=effective_bits,
        layer_kinds=frozenset(kinds.split()) | (frozenset() if is_source else _SHARED_BY_EXPERTS),
        row_multiple=row_multiple,
        calibrated=imatrix,
        source=None if is_source else "gguf-bf16",
        parameters=MappingProxyType(parameters),
    )


# The types below three bits cannot be made without an importance matrix; of the K-quants both
# kinds are here, so that its worth can be measured.
GGUF_RECIPES = (
    _gguf("BF16", 16, (16, 16), "BF16", 1),
    _gguf("Q8_0", 8, (8.5, 8.5), "Q8_0", 32),
    _gguf("Q6_K", 6, (6.5, 6.8), "Q6_K"),
    _gguf("Q5_K_M", 5, (5.5, 6.2), "Q5_K Q6_K"),
    _gguf("Q4_K_M", 4, (4.5, 5.8), "Q4_K Q6_K"),
    _gguf("Q4_K_M", 4, (4.5, 5.8), "Q4_K Q6_K", imatrix=True, suffix="-imat"),
    _gguf("Q4_0", 4, (4.5, 4.9), "Q4_0", 32),
    _gguf("IQ4_XS", 4, (4.25, 4.7), "IQ4_XS", imatrix=True),
    _gguf("Q3_K_M", 3, (3.4, 4.6), "Q3_K"),
    _gguf("Q3_K_M", 3, (3.4, 4.6), "Q3_K", imatrix=True, suffix="-imat"),
    _gguf("IQ3_S", 3, (3.4, 3.8), "IQ3_S", imatrix=True),
    _gguf("IQ3_XXS", 3, (3, 3.4), "IQ3_XXS IQ3_S IQ2_S", imatrix=True),
    _gguf("Q2_K", 2, (2.6, 4), "Q2_K Q3_K"),
    _gguf("Q2_K", 2, (2.6, 4), "Q2_K Q3_K", imatrix=True, suffix="-imat"),
    _gguf("IQ2_M", 2, (2.5, 3.2), "IQ2_S IQ3_S", imatrix=True),
    _gguf("IQ2_XS", 2, (2.3, 2.9), "IQ2_XS Q2_K", imatrix=True),
    _gguf("IQ2_XXS", 2, (2, 2.7), "IQ2_XXS Q2_K", imatrix=True),
    _gguf("IQ1_M", 1, (1.75, 2.4), "IQ1_M IQ2_XXS Q2_K", imatrix=True),
)
