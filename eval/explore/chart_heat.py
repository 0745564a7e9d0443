"""The heat map: how much the loss rises when one layer alone is quantized."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from eval.drawing.numbers import minus
from eval.drawing.svg import drawing, fit, tag, text
from eval.explore.chart_frame import WIDTH
from eval.explore.explorer_figures import Cell, Sensitivity

_LEFT, _TOP = 82.0, 20.0
_CELL_HEIGHT = 24.0
_MOST_NUMBERS = 12
# Rises within so many standard errors of zero are not told from chance.
CERTAIN = 2.0


def is_certain(cell: Cell) -> bool:
    """Whether the loss has changed by more than chance explains."""
    return abs(cell.rise) > CERTAIN * cell.rise_error


def heat_range(cells: Sequence[Cell]) -> tuple[float, float]:
    """The divergences that get the faintest and the strongest colour, over all formats."""
    known = [cell.divergence for cell in cells if cell.divergence > 0]
    return (min(known), max(known)) if known else (1e-6, 1.0)


def heat_chart(sensitivity: Sensitivity, name: str, title: str) -> Markup:
    """One format: kinds of layers downwards, blocks across; colour and number tell the rise.

    Numbers are 1/1000 nat per token of divergence.
    """
    cells = {(c.kind, c.block): c for c in sensitivity.cells if c.format == name}
    low, high = heat_range(sensitivity.cells)
    width = (WIDTH - _LEFT - 4) / max(1, len(sensitivity.blocks))
    numbers = len(sensitivity.blocks) <= _MOST_NUMBERS
    parts = [text(_LEFT - 8, 12, "block", "axis", "end")]
    for column, block in enumerate(sensitivity.blocks):
        if numbers or column % 4 == 0:
            middle = _LEFT + width * (column + 0.5)
            parts.append(text(middle, 12, block, "tick", "middle"))
    for row, kind in enumerate(sensitivity.kinds):
        top = _TOP + _CELL_HEIGHT * row
        parts.append(text(_LEFT - 8, top + 16, fit(kind, _LEFT - 10), "label", "end"))
        for column, block in enumerate(sensitivity.blocks):
            cell = cells.get((kind, block))
            if cell is not None:
                left = _LEFT + width * column
                parts.append(_cell(cell, left, top, width, _share(cell, low, high), numbers))
    height = _TOP + _CELL_HEIGHT * len(sensitivity.kinds) + 4
    return drawing(WIDTH, height, title, *parts)


def _share(cell: Cell, low: float, high: float) -> float:
    """0 for the least divergence of all cells, 1 for the greatest, by logarithm."""
    if cell.divergence <= low or high <= low:
        return 0.0
    return math.log(cell.divergence / low) / math.log(high / low)


def _cell(cell: Cell, left: float, top: float, width: float, share: float, numbers: bool) -> Markup:
    words = (
        f"{cell.kind} of block {cell.block} in {cell.format}: divergence "
        f"{cell.divergence * 1000:.3g}, loss {minus(f'{cell.rise * 1000:+.3g}')} ± "
        f"{cell.rise_error * 1000:.2g} (1/1000 nat per token)"
    )
    parts = [
        tag("title", words),
        tag(
            "rect",
            x=left,
            y=top,
            width=width - 2,
            height=_CELL_HEIGHT - 2,
            class_=f"heat h{round(share * 9)}",
        ),
    ]
    if numbers:
        told = _number(cell.divergence * 1000)
        parts.append(text(left + width / 2 - 1, top + 15, told, "label", "middle"))
    return tag("g", *parts)


def _number(value: float) -> str:
    """Two significant digits, and no more than two decimals."""
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"
