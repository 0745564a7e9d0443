"""Symbols: an entry's hue and shape, so that hue alone never tells two apart."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from eval.drawing.svg import tag

# Corners on a unit circle's scale; areas are about equal, so that no shape shouts.
CORNERS: Mapping[str, tuple[tuple[float, float], ...]] = {
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
    """The look of one entry; ``key`` links its parts across the page."""

    key: int
    hue: int
    shape: str
    hollow: bool


def glyph(mark: Mark, x: float, y: float, radius: float = 5) -> Markup:
    """The symbol, centred on (x, y)."""
    kind = f"glyph e{mark.hue}" + (" hollow" if mark.hollow else "")
    if mark.shape == "circle":
        return tag("circle", cx=x, cy=y, r=radius, class_=kind)
    corners = CORNERS[mark.shape]
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
