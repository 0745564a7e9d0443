"""How a variant looks in every chart and table: hue by engine, shape by quantization.

Hue alone never tells two variants apart: a recipe has its own shape, and labels name the variant.
"""

from collections.abc import Sequence

from eval.drawing.glyphs import CORNERS, Mark
from eval.schema import VariantComparison
from quantize.recipes.catalogue import RECIPES
from services.engines.table import ENGINES

HUES = 6
UNQUANTIZED_BITS = 15.5


def assign_marks(variants: Sequence[VariantComparison]) -> dict[str, Mark]:
    """One mark per variant name; the tables' order decides, so runs look alike."""
    engines = [*ENGINES, *sorted({v.engine for v in variants} - set(ENGINES))]
    present = {v.recipe for v in variants if not _unquantized(v)}
    recipes = [name for name in RECIPES if name in present]
    recipes += sorted(present - set(RECIPES))
    shapes = list(CORNERS)
    marks = {}
    for key, variant in enumerate(variants):
        place = recipes.index(variant.recipe) if variant.recipe in recipes else None
        marks[variant.variant] = Mark(
            key=key,
            hue=engines.index(variant.engine) % HUES,
            shape="circle" if place is None else shapes[place % len(shapes)],
            hollow=place is not None and place // len(shapes) % 2 == 1,
        )
    return marks


def _unquantized(variant: VariantComparison) -> bool:
    recipe = RECIPES.get(variant.recipe)
    bits = variant.bits_per_weight if recipe is None else recipe.bits
    return bits > UNQUANTIZED_BITS
