"""How a variant looks in every chart and table: hue by engine, shape by quantization.

Hue alone never tells two variants apart: a recipe has its own shape, and labels name the variant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from eval.schema import VariantComparison
from quantize.drawing.svg import tag
from quantize.recipes import RECIPES
from services.engines.table import ENGINES

HUES = 6
UNQUANTIZED_BITS = 15.5
# Corners on a unit circle's scale; areas are about equal, so that no shape shouts.
_CORNERS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "square": ((-0.84, -0.84), (0.84, -0.84), (0.84, 0.84), (-0.84, 0.84)),
    "diamond": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    "up": ((0, -1.2), (1.15, 0.8), (-1.15, 0.8)),
    "down": ((0, 1.2), (1.15, -0.8), (-1.15, -0.8)),
    "bar": ((-1.35, -0.55), (1.35, -0.55), (1.35, 0.55), (-1.35, 0.55)),
    "right": ((1.2, 0), (-0.8, 1.15), (-0.8, -1.15)),
    "left": ((-1.2, 0), (0.8, 1.15), (0.8, -1.15)),
    "star": tuple(
        (x * r, y * r)
        for x, y, r in (
            (0, -1, 1.3),
            (0.6, -0.8, 0.55),
            (0.95, -0.31, 1.3),
            (0.95, 0.31, 0.55),
            (0.59, 0.81, 1.3),
            (0, 1, 0.55),
            (-0.59, 0.81, 1.3),
            (-0.95, 0.31, 0.55),
            (-0.95, -0.31, 1.3),
            (-0.6, -0.8, 0.55),
        )
    ),
}


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The look of one variant; ``key`` links its parts across the page."""

    key: int
    hue: int
    shape: str
    hollow: bool


def assign_marks(variants: Sequence[VariantComparison]) -> dict[str, Mark]:
    """One mark per variant name; the tables' order decides, so runs look alike."""
    engines = [*ENGINES, *sorted({v.engine for v in variants} - set(ENGINES))]
    present = {v.recipe for v in variants if not _unquantized(v)}
    recipes = [name for name in RECIPES if name in present]
    recipes += sorted(present - set(RECIPES))
    shapes = list(_CORNERS)
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


def glyph(mark: Mark, x: float, y: float, radius: float = 5) -> Markup:
    """The variant's symbol, centred on (x, y)."""
    kind = f"glyph e{mark.hue}" + (" hollow" if mark.hollow else "")
    if mark.shape == "circle":
        return tag("circle", cx=x, cy=y, r=radius, class_=kind)
    corners = _CORNERS[mark.shape]
    points = " ".join(f"{x + dx * radius:.1f},{y + dy * radius:.1f}" for dx, dy in corners)
    return tag("polygon", points=points, class_=kind)


def icon(mark: Mark) -> Markup:
    """The symbol as a small picture of its own, for tables and legends."""
    return tag(
        "svg",
        glyph(mark, 8, 8, 5),
        viewBox="0 0 16 16",
        class_="icon",
        aria_hidden="true",
        focusable="false",
    )
