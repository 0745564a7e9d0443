"""The recipes of llama.cpp: GGUF files of its file types, with and without an importance matrix."""

from types import MappingProxyType

from quantize.formats.storage_format import Parameter
from quantize.formats.storage_formats import FORMATS
from quantize.recipes.recipe import Recipe

_SOURCE = "gguf-bf16"


def _gguf(file_type: str, *, imatrix: bool = False, suffix: str = "") -> Recipe:
    """A GGUF file of one llama.cpp file type, quantized from the BF16 one."""
    row = FORMATS[f"gguf-{file_type.lower()}"]
    parameters: dict[str, Parameter] = {"file_type": file_type}
    if imatrix:
        parameters["imatrix"] = True
    return Recipe(
        name=f"{row.name}{suffix}",
        method="gguf",
        format=row,
        calibrated=imatrix,
        source=None if row.name == _SOURCE else _SOURCE,
        parameters=MappingProxyType(parameters),
    )


# The types below three bits cannot be made without an importance matrix; of the K-quants both
# kinds are here, so that its worth can be measured.
GGUF_RECIPES = (
    _gguf("BF16"),
    _gguf("Q8_0"),
    _gguf("Q6_K"),
    _gguf("Q5_K_M"),
    _gguf("Q4_K_M"),
    _gguf("Q4_K_M", imatrix=True, suffix="-imat"),
    _gguf("Q4_0"),
    _gguf("IQ4_XS", imatrix=True),
    _gguf("Q3_K_M"),
    _gguf("Q3_K_M", imatrix=True, suffix="-imat"),
    _gguf("IQ3_S", imatrix=True),
    _gguf("IQ3_XXS", imatrix=True),
    _gguf("Q2_K"),
    _gguf("Q2_K", imatrix=True, suffix="-imat"),
    _gguf("IQ2_M", imatrix=True),
    _gguf("IQ2_XS", imatrix=True),
    _gguf("IQ2_XXS", imatrix=True),
    _gguf("IQ1_M", imatrix=True),
)
