"""The RECIPES table: every way Assay turns a source model into weights that an engine serves.

A recipe is data. The file named by its ``method`` (``gptq.py``, ``awq.py``, ``gguf_export.py`` ...)
knows how to carry it out; names, directories, dashboards and documents derive from this table.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from quantize.modelopt_recipes import MODELOPT_RECIPES, auto
from quantize.recipe import Checkpoint, Method, Parameter, Recipe, WeightFormat

__all__ = ["RECIPES", "Method", "Recipe", "WeightFormat", "find_recipe", "with_sources"]


def _int4(
    name: str,
    method: Method,
    checkpoint: Checkpoint,
    effective_bits: tuple[float, float],
    **parameters: Parameter,
) -> Recipe:
    """A packed 4-bit checkpoint with groups of 128 along the inner dimension."""
    return Recipe(
        name=name,
        method=method,
        checkpoint=checkpoint,
        weight_format="safetensors",
        bits=4,
        effective_bits=effective_bits,
        layer_kinds=frozenset({"I32", "F16", "BF16"}),
        row_multiple=128,
        calibrated=True,
        parameters=MappingProxyType({"bits": 4, "group_size": 128, **parameters}),
        announced=MappingProxyType({"quant_method": method, "bits": 4}),
    )


def _gguf(
    file_type: str, bits: float, effective_bits: tuple[float, float], kinds: str, row_multiple: int
) -> Recipe:
    """A GGUF file of one llama.cpp file type, quantized from the BF16 one."""
    return Recipe(
        name=f"gguf-{file_type.lower()}",
        method="gguf",
        checkpoint="gguf",
        weight_format="gguf",
        bits=bits,
        effective_bits=effective_bits,
        layer_kinds=frozenset(kinds.split()),
        row_multiple=row_multiple,
        source=None if file_type == "BF16" else "gguf-bf16",
        parameters=MappingProxyType({"file_type": file_type}),
    )


# The ranges of effective bits follow from the formats: groups of 128 add a 16-bit scale and a
# 4-bit zero point (GPTQ: and 32 bits of group index per input row); the K-quant mixes keep some
# layers wider, the more of them the fewer layers a model has (llama-quant.cpp).
_ALL = (
    Recipe(
        name="bf16",
        method="copy",
        checkpoint="bf16",
        weight_format="safetensors",
        bits=16,
        effective_bits=(16, 16),
        layer_kinds=frozenset({"BF16"}),
    ),
    _int4(
        "gptq-int4-g128",
        "gptq",
        "gptq-int4-sym",
        (4.15, 4.9),
        symmetric=True,
        desc_act=False,
        damp_percent=0.05,
        act_group_aware=True,
    ),
    _int4("awq-int4-g128", "awq", "awq-int4", (4.15, 4.3), symmetric=False),
    *MODELOPT_RECIPES,
    _gguf("BF16", 16, (16, 16), "BF16", 1),
    _gguf("Q8_0", 8, (8.5, 8.5), "Q8_0", 32),
    _gguf("Q4_K_M", 4, (4.5, 5.8), "Q4_K Q5_K Q6_K", 256),
    _gguf("Q2_K", 2, (2.6, 4.0), "Q2_K Q3_K Q4_K", 256),
)

_AUTO_NAME = re.compile(r"auto-(\d(?:\.\d+)?)")
_AUTO_LIMITS = (4.5, 8.0)

RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in _ALL})


def find_recipe(name: str) -> Recipe:
    """Look up a recipe by name; ``auto-<bits>`` exists for every budget between 4.5 and 8.

    Raises:
        ValueError: no such recipe; the message lists the valid names, nearest first.
    """
    if name in RECIPES:
        return RECIPES[name]
    budget = _AUTO_NAME.fullmatch(name)
    if budget and _AUTO_LIMITS[0] < float(budget[1]) < _AUTO_LIMITS[1]:
        return auto(budget[1])
    near = get_close_matches(name, RECIPES, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown recipe {name!r}{hint} (valid: {', '.join(RECIPES)})")


def with_sources(names: list[str]) -> list[Recipe]:
    """The recipes to make for ``names``, each after the recipe whose artifact it reads."""
    ordered: dict[str, Recipe] = {}

    def add(name: str) -> None:
        recipe = find_recipe(name)
        if recipe.source is not None:
            add(recipe.source)
        ordered.setdefault(recipe.name, recipe)

    for name in names:
        add(name)
    return list(ordered.values())
