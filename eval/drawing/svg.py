"""SVG as escaped text, scales from data to pixels, and round tick values.

Colours are CSS classes, so that one drawing serves light mode, dark mode and print.
"""

import math
from dataclasses import dataclass

from markupsafe import Markup, escape

CHAR_WIDTH = 0.55
FONT_SIZE = 11.5


def clean(text: str) -> str:
    """``text`` without the control characters that no XML document may contain."""
    return "".join(char for char in text if char.isprintable())


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """One element; ``class_`` stands for ``class`` and ``_`` for ``-`` in attribute names.

    Children that are not Markup are escaped; an attribute that is None is left out.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _attribute(value))
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(
        child if isinstance(child, Markup) else escape(clean(child)) for child in children
    )
    # The element's name is ours; everything that came from outside was escaped above.
    return Markup(f"<{name}{written}>{inside}</{name}>")


def _attribute(value: str | float) -> str:
    if isinstance(value, str):
        return clean(value)
    return f"{value:.1f}".removesuffix(".0")


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> Markup:
    """A text with its baseline at ``y``."""
    return tag("text", words, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def drawing(width: float, height: float, label: str, *children: Markup) -> Markup:
    """The whole picture: scalable, and read aloud as ``label``."""
    return tag(
        "svg",
        tag("title", label),
        *children,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_label=label,
    )


def text_width(words: str, size: float = FONT_SIZE) -> float:
    """A careful guess, because the server has no font metrics: rather too wide than too narrow."""
    return len(words) * size * CHAR_WIDTH


def fit(words: str, width: float) -> str:
    """``words`` cut with an ellipsis to what fits into ``width`` pixels."""
    letters = max(2, int(width / (FONT_SIZE * CHAR_WIDTH)))
    words = clean(words)
    return words if len(words) <= letters else f"{words[: letters - 1]}…"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Maps ``low..high`` of the data to ``start..end`` pixels, linearly or by logarithm."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-12))
        if high == low:
            return (self.start + self.end) / 2
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def clamped(self, value: float) -> float:
        """The pixel of ``value``, or of the nearer end of the scale."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, count: int = 5) -> list[float]:
        """Round values on the scale."""
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1,), (1, 3), (1, 2, 5)):
                values = [step * 10.0**power for power in decades for step in steps]
                inside = [v for v in values if self.low * 0.999 <= v <= self.high * 1.001]
                if len(inside) >= 4 or (len(inside) == 3 and len(steps) == 3):
                    return inside
        return _round_values(self.low, self.high, count)


def _round_values(low: float, high: float, count: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between ``low`` and ``high``."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def padded(values: list[float], share: float = 0.06) -> tuple[float, float]:
    """The range of ``values`` with a margin, so that no mark sits on the frame."""
    low, high = min(values), max(values)
    margin = (high - low) * share or abs(high) * share or 1.0
    return low - margin, high + margin
