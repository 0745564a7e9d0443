"""The RECIPES table: every way Assay turns a source model into weights that an engine serves.

A recipe is data: it names a row of the table of storage formats (formats/storage_formats.py) and
the method that makes it. The row of that ``method`` in the table of methods (``methods.py``) knows
what carries it out; names, directories, dashboards and documents derive from this table.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from quantize.formats.storage_formats import FORMATS
from quantize.recipes.gguf_recipes import GGUF_RECIPES
from quantize.recipes.gptq_recipes import GPTQ_RECIPES
from quantize.recipes.modelopt_recipes import MODELOPT_RECIPES, auto
from quantize.recipes.native_recipes import native
from quantize.recipes.recipe import NATIVE, Method, Recipe

__all__ = ["RECIPES", "UNQUANTIZED_BITS", "Method", "Recipe", "find_recipe", "with_sources"]

# What the weights of recipes have that quantize nothing: as wide as models are published.
UNQUANTIZED_BITS = 16

_ALL = (
    Recipe(name="bf16", method="copy", format=FORMATS["bf16"]),
    *GPTQ_RECIPES,
    *MODELOPT_RECIPES,
    *GGUF_RECIPES,
)

_AUTO_NAME = re.compile(r"auto-(\d(?:\.\d+)?)")
_AUTO_LIMITS = (4.5, 8.0)

RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in _ALL})


def find_recipe(name: str) -> Recipe:
    """Look up a recipe by name, those that have no row in the table included.

    ``auto-<bits>`` exists for every budget between 4.5 and 8, ``native-<format>`` for every format.

    Raises:
        ValueError: no such recipe; the message lists the valid names, nearest first.
    """
    if name in RECIPES:
        return RECIPES[name]
    if name.startswith(NATIVE):
        return native(name.removeprefix(NATIVE))
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
