"""Every value of the small formats as a stroke on a line, linear and by logarithm."""

from collections.abc import Sequence

from markupsafe import Markup

from eval.drawing.svg import Scale, drawing, line, tag, text
from eval.explore.chart_frame import WIDTH, scale_below
from eval.explore.explorer_figures import Grid

_ROW = 34.0
_LEFT = 60.0
_LOWEST = 1e-4


def linear_chart(grids: Sequence[Grid], title: str) -> Markup:
    """Both signs, each format scaled so that its largest value is 1."""
    x = Scale(low=-1, high=1, start=_LEFT, end=WIDTH - 12)
    return _chart(grids, title, x, "value / largest value →")


def logarithmic_chart(grids: Sequence[Grid], title: str) -> Markup:
    """The values above zero over a logarithmic axis."""
    x = Scale(low=_LOWEST, high=1, start=_LEFT, end=WIDTH - 12, logarithmic=True)
    return _chart(grids, title, x, "value / largest value, by logarithm →")


def _chart(grids: Sequence[Grid], title: str, x: Scale, words: str) -> Markup:
    bottom = 4 + _ROW * len(grids)
    parts = [scale_below(x, 4, bottom, words)]
    for index, grid in enumerate(grids):
        parts.append(_row(grid, 4 + _ROW * index, x, index))
    return drawing(WIDTH, bottom + 38, title, *parts)


def _row(grid: Grid, top: float, x: Scale, index: int) -> Markup:
    largest = grid.values[-1]
    shares = [value / largest for value in grid.values]
    if not x.logarithmic:
        shares = [*(-share for share in reversed(shares) if share), *shares]
    shown = [share for share in shares if x.low <= share <= x.high]
    hue = index % 5
    path = "".join(f"M{x(share):.1f},{top + 5:.1f}V{top + _ROW - 7:.1f}" for share in shown)
    return tag(
        "g",
        tag("title", f"{grid.label}: {2 * len(grid.values) - 1} values, largest {largest:g}"),
        line(x.start, top + _ROW - 7, x.end, top + _ROW - 7, "grid"),
        tag("path", d=path, class_=f"stroke e{hue}"),
        text(_LEFT - 8, top + 20, grid.label, f"label t{hue}", "end"),
    )
