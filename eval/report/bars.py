"""Sizes as horizontal bars from zero, one panel per kind of size."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from eval.drawing.glyphs import Mark, glyph
from eval.drawing.svg import Scale, drawing, fit, line, tag, text, text_width
from eval.report.formats import NOT_MEASURED, percent, size

WIDTH = 340.0
ROW = 22.0
_LABEL_ROOM = 140.0
_VALUE_ROOM = 104.0


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One variant's size in bytes, None where nobody measured it."""

    name: str
    mark: Mark
    value: float | None


def bars(rows: Sequence[Bar], title: str, baseline: float | None, limit: float | None) -> Markup:
    """The panel of one kind of size, with its share of the baseline's and the plan's limit."""
    left = min(max((text_width(row.name) for row in rows), default=0), _LABEL_ROOM) + 18
    longest = max([row.value for row in rows if row.value is not None], default=1.0)
    height = 6 + ROW * len(rows)
    scale = Scale(low=0, high=longest or 1.0, start=left, end=WIDTH - _VALUE_ROOM)
    parts = [_row(row, index, scale, baseline) for index, row in enumerate(rows)]
    if limit is not None and limit <= longest:
        parts.append(line(scale(limit), 0, scale(limit), height, "margin"))
        parts.append(
            text(scale(limit), height + 12, f"limit {size(limit)}", "margin-text", "middle")
        )
        height += 16
    parts.append(line(left, 2, left, 4 + ROW * len(rows), "rule"))
    return drawing(WIDTH, height, title, *parts)


def _row(row: Bar, index: int, scale: Scale, baseline: float | None) -> Markup:
    top = 3 + ROW * index
    middle = top + ROW / 2
    parts = [
        glyph(row.mark, 7, middle, 4),
        text(16, middle + 4, fit(row.name, scale.start - 18), f"label t{row.mark.hue}"),
    ]
    if row.value is None:
        parts.append(text(scale.start + 5, middle + 4, NOT_MEASURED, "tick"))
        words = f"{row.name}: {NOT_MEASURED}"
    else:
        end = scale(row.value)
        parts.append(
            tag(
                "rect",
                x=scale.start,
                y=top + 5,
                width=max(1.0, end - scale.start),
                height=ROW - 10,
                class_=f"bar e{row.mark.hue}",
            )
        )
        share = f" · {percent(row.value / baseline, 0)}" if baseline else ""
        parts.append(text(end + 5, middle + 4, size(row.value) + share, "value"))
        words = (
            f"{row.name}: {size(row.value)}{share} of the baseline"
            if share
            else (f"{row.name}: {size(row.value)}")
        )
    return tag("g", tag("title", words), *parts, data_k=str(row.mark.key))
