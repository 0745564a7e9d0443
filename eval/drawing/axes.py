"""Axes: places with their words below or beside a plot, and what is measured along them."""

from collections.abc import Iterable

from markupsafe import Markup

from eval.drawing.svg import line, text

# Where the two rows of words stand below the plot.
_PLACES, _WORDS = 16, 33
_STROKE = 4


def axis_below(
    ends: tuple[float, float],
    bottom: float,
    ticks: Iterable[tuple[float, str]],
    words: str,
    *,
    grid_top: float | None = None,
) -> Markup:
    """The rule below a plot, between its ``ends``, with (pixel, words) of each tick.

    From the ticks grid lines rise to ``grid_top``; without one, small strokes hang down. All of it
    takes 38 pixels.
    """
    parts = []
    for place, told in ticks:
        if grid_top is None:
            parts.append(line(place, bottom, place, bottom + _STROKE, "rule"))
        else:
            parts.append(line(place, grid_top, place, bottom, "grid"))
        parts.append(text(place, bottom + _PLACES, told, "tick", "middle"))
    parts.append(line(ends[0], bottom, ends[1], bottom, "rule"))
    parts.append(text(ends[1], bottom + _WORDS, words, "axis", "end"))
    return Markup("").join(parts)


def axis_beside(ends: tuple[float, float], ticks: Iterable[tuple[float, str]]) -> Markup:
    """Grid lines across a plot, between its ``ends``, with (pixel, words) of each tick."""
    parts = []
    for place, told in ticks:
        parts.append(line(ends[0], place, ends[1], place, "grid"))
        parts.append(text(ends[0] - 6, place + 4, told, "tick", "end"))
    return Markup("").join(parts)
