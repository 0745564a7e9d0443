"""The VARIANTS table: every recipe on every engine that reads its weight format."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from quantize.recipes import RECIPES, Recipe
from services.engines.spec import EngineSpec
from services.engines.table import ENGINES


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A recipe on an engine: the thing that is deployed, loaded, questioned and compared."""

    name: str
    recipe: Recipe
    engine: EngineSpec


def _name(recipe: Recipe, engine: EngineSpec) -> str:
    """``<recipe>-<engine>``; a format that one engine alone reads needs no engine in the name."""
    readers = [spec for spec in ENGINES.values() if recipe.weight_format in spec.weight_formats]
    return (
        recipe.name
        if recipe.weight_format in recipe.name and len(readers) == 1
        else (f"{recipe.name}-{engine.name}")
    )


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        _name(recipe, engine): Variant(name=_name(recipe, engine), recipe=recipe, engine=engine)
        for recipe in RECIPES.values()
        for engine in ENGINES.values()
        if recipe.weight_format in engine.weight_formats
    }
)


def find_variant(name: str) -> Variant:
    """Look up a variant by name.

    Raises:
        ValueError: no such variant; the message lists the valid names and the nearest one.
    """
    if name in VARIANTS:
        return VARIANTS[name]
    near = get_close_matches(name, VARIANTS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown variant {name!r}{hint} (valid: {', '.join(VARIANTS)})")
