"""Forest plots: each variant's difference to the baseline with its interval, margin and noise."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from eval.drawing.axes import axis_below
from eval.drawing.glyphs import Mark, glyph
from eval.drawing.svg import Scale, drawing, fit, line, tag, text, text_width
from eval.report.formats import difference, difference_unit, trimmed
from eval.report.scatter import clip_floor
from eval.schema import TaskComparison
from loadtest.intervals import Estimate

WIDTH = 450.0
ROW = 23.0
TOP = 20.0
_LABEL_ROOM = 140.0
_VALUE_ROOM = 138.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant on one task; without a result, ``why`` stands in its place."""

    name: str
    mark: Mark
    result: TaskComparison | None
    why: str


def forest(
    rows: Sequence[Row], *, task: str, metric: str, margin: float, noise_floor: float | None
) -> Markup:
    """The panel of one task: left of the margin line is an unacceptable loss."""
    left = min(max((text_width(row.name) for row in rows), default=0), _LABEL_ROOM) + 22
    x = _horizontal(rows, metric, margin, noise_floor, left)
    bottom = TOP + ROW * len(rows)
    parts = [_ground(x, metric, margin, noise_floor, bottom)]
    parts += [_row(row, TOP + ROW * (i + 0.5), x, metric) for i, row in enumerate(rows)]
    label = f"{task}: difference to the baseline with its confidence interval, per variant"
    return drawing(WIDTH, bottom + 40, label, *parts)


def _gain(metric: str) -> float:
    """The sign that makes a rise a gain: right is better on every panel."""
    return 1.0 if metric == "accuracy" else -1.0


def _horizontal(
    rows: Sequence[Row], metric: str, margin: float, noise: float | None, left: float
) -> Scale:
    sign = _gain(metric)
    values = [0.0, -1.25 * margin, 0.5 * margin, noise or 0.0]
    gains = []
    for row in rows:
        if row.result is not None and row.result.difference is not None:
            found = row.result.difference
            ends = [sign * end for end in found.known]
            gains.append((sign * found.value, min(ends)))
            values += ends
    lowest, highest = max(min(values), clip_floor(gains, margin)), max(values)
    room = (highest - lowest) * 0.04 or 1.0
    return Scale(low=lowest - room, high=highest + room, start=left, end=WIDTH - _VALUE_ROOM)


def _ground(x: Scale, metric: str, margin: float, noise: float | None, bottom: float) -> Markup:
    sign = _gain(metric)
    parts = []
    if noise:
        edge = x.clamped(-noise)
        width = x.clamped(noise) - edge
        parts.append(tag("rect", x=edge, y=TOP, width=width, height=bottom - TOP, class_="noise"))
    parts.append(line(x(0), TOP, x(0), bottom, "zero"))
    parts.append(line(x(-margin), TOP - 4, x(-margin), bottom, "margin"))
    words = f"margin {difference(metric, -sign * margin)}"
    parts.append(text(x(-margin), TOP - 8, words, "margin-text", "middle"))
    ticks = [(x(value), trimmed(difference(metric, sign * value))) for value in x.ticks(5)]
    words = f"{difference_unit(metric)}, right is better →"
    parts.append(axis_below((x.start, x.end), bottom, ticks, words))
    return Markup("").join(parts)


def _row(row: Row, middle: float, x: Scale, metric: str) -> Markup:
    name = text(16, middle + 4, fit(row.name, x.start - 20), f"label t{row.mark.hue}")
    parts = [glyph(row.mark, 7, middle, 4), name]
    result = row.result
    if result is None:
        title = f"{row.name}: not measured, {row.why}"
        parts.append(text(x.start + 5, middle + 4, fit(title, WIDTH - x.start - 10), "tick"))
    elif result.difference is None:
        title = f"{row.name}: no difference to itself"
        parts.append(glyph(row.mark, x(0), middle, 4))
        parts.append(text(WIDTH, middle + 4, "baseline", "tick", "end"))
    else:
        title = f"{row.name}: {_numbers(result.difference, metric)}, {result.verdict}"
        parts.append(_measured(row.mark, result.difference, middle, x, metric))
        parts.append(text(WIDTH, middle + 4, _numbers(result.difference, metric), "value", "end"))
    return tag("g", tag("title", title.replace("_", " ")), *parts, data_k=str(row.mark.key))


def _numbers(found: Estimate, metric: str) -> str:
    words = difference(metric, found.value)
    if found.bounds is None:
        return words
    return f"{words} [{', '.join(difference(metric, bound) for bound in found.bounds)}]"


def _measured(mark: Mark, found: Estimate, middle: float, x: Scale, metric: str) -> Markup:
    sign = _gain(metric)
    parts = []
    if bounds := found.bounds:
        ends = x.clamped(sign * bounds[0]), x.clamped(sign * bounds[1])
        parts.append(line(ends[0], middle, ends[1], middle, f"e{mark.hue} whisker"))
    place = x.clamped(sign * found.value)
    if sign * found.value < x.low:
        arrow = f"M{place + 6:.1f},{middle - 4:.1f}v8l-7,-4z"
        parts.append(tag("path", d=arrow, class_=f"glyph e{mark.hue}"))
    else:
        parts.append(glyph(mark, place, middle, 4))
    return Markup("").join(parts)
