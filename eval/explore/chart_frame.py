"""What the explorer's charts share: their width, an axis along the bottom, a legend of symbols."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from eval.drawing.axes import axis_below
from eval.drawing.glyphs import Mark, glyph
from eval.drawing.svg import Scale, text, text_width

# Narrow, so that a phone shows the same letters as a wide screen.
WIDTH = 460.0
ROW = 22.0
LABEL_ROOM = 122.0


def mark(key: int, shape: str, *, hue: int | None = None, hollow: bool = False) -> Mark:
    """The look of the entry number ``key`` of a chart."""
    return Mark(key=key, hue=key % 6 if hue is None else hue, shape=shape, hollow=hollow)


def _plain(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def scale_below(
    x: Scale,
    top: float,
    bottom: float,
    words: str,
    *,
    write: Callable[[float], str] = _plain,
    ticks: Sequence[float] | None = None,
) -> Markup:
    """The axis of a scale, with grid lines from ``top``."""
    values = x.ticks(6) if ticks is None else ticks
    places = [(x(value), write(value)) for value in values]
    return axis_below((x.start, x.end), bottom, places, words, grid_top=top)


def legend(entries: Sequence[tuple[Mark, str]], left: float, top: float, width: float) -> Markup:
    """Symbols with their words in a line, wrapped; see ``legend_height``."""
    parts, x, y = [], left, top + 12
    for symbol, words in entries:
        needed = text_width(words) + 26
        if x > left and x + needed > left + width:
            x, y = left, y + 17
        parts.append(glyph(symbol, x + 6, y - 4, 4.5))
        parts.append(text(x + 15, y, words, f"t{symbol.hue}"))
        x += needed
    return Markup("").join(parts)


def legend_height(entries: Sequence[tuple[Mark, str]], width: float) -> float:
    """How many pixels the legend takes."""
    rows, x = 1, 0.0
    for _, words in entries:
        needed = text_width(words) + 26
        if x and x + needed > width:
            rows, x = rows + 1, 0.0
        x += needed
    return rows * 17.0 + 6
