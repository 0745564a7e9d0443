"""A figure against load: one line per variant, named where it ends, over a logarithmic x axis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from markupsafe import Markup

from eval.drawing.axes import axis_below, axis_beside
from eval.drawing.glyphs import Mark, glyph
from eval.drawing.labels import spread
from eval.drawing.svg import Scale, drawing, fit, line, tag, text, text_width
from eval.report.formats import trimmed
from loadtest.intervals import Estimate
from loadtest.load_point import LoadPoint

WIDTH = 450.0
LEFT, TOP = 52.0, 24.0
LABEL_GAP = 13.5
_LABEL_ROOM = (70.0, 150.0)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One variant's figures by load point.

    ``void``: the run was disturbed. ``faint``: a grey line without a name.
    """

    name: str
    mark: Mark
    points: Sequence[tuple[LoadPoint, Estimate]]
    void: bool
    faint: bool = False


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What is drawn upwards: its words, its scale, and a limit of the plan to mark."""

    words: str
    write: Callable[[float], str]
    logarithmic: bool
    limit: float | None = None
    limit_words: str = ""


def lines(series: Sequence[Series], axis: Axis, title: str) -> Markup:
    """The panel of one figure."""
    named = [s for s in series if not s.faint]
    room = max((text_width(s.name) for s in named), default=0) + 16
    right = WIDTH - min(max(room, _LABEL_ROOM[0]), _LABEL_ROOM[1])
    bottom = TOP + max(216.0, LABEL_GAP * len(named))
    levels = sorted({level for s in series for level, _ in s.points})
    x = Scale(
        low=levels[0].amount,
        high=levels[-1].amount,
        start=LEFT + 14,
        end=right - 16,
        logarithmic=len(levels) > 1,
    )
    y = _vertical(series, axis, bottom)
    parts = [_frame(x, y, axis, levels, right, bottom)]
    parts += [_faint(s, x, y) for s in series if s.faint]
    parts += [_series(s, x, y, axis, index, len(named)) for index, s in enumerate(named)]
    parts.append(_names(named, x, y, right, bottom))
    return drawing(WIDTH, bottom + 42, title, *parts)


def _vertical(series: Sequence[Series], axis: Axis, bottom: float) -> Scale:
    values = [
        v
        for s in series
        for _, e in s.points
        for v in e.known
        if isfinite(v) and (v > 0 or not axis.logarithmic)
    ]
    # A limit far above everything measured is told in words; drawn, it would flatten the lines.
    if axis.limit is not None and axis.limit < 4 * max(values, default=0.0):
        values.append(axis.limit)
    if not axis.logarithmic:
        high = max([*values, 0.0]) * 1.06 or 1.0
        return Scale(low=min([*values, 0.0]), high=high, start=bottom, end=TOP)
    values = values or [1.0]
    return Scale(
        low=min(values) / 1.15,
        high=max(values) * 1.15,
        start=bottom,
        end=TOP,
        logarithmic=True,
    )


def _frame(
    x: Scale, y: Scale, axis: Axis, levels: Sequence[LoadPoint], right: float, bottom: float
) -> Markup:
    parts = [text(4, 12, axis.words, "axis")]
    beside = [(y(value), trimmed(axis.write(value))) for value in y.ticks(5)]
    parts.append(axis_beside((LEFT, right), beside))
    below = [(x(level.amount), level.number) for level in levels]
    parts.append(axis_below((LEFT, right), bottom, below, f"{levels[0].axis} →"))
    if axis.limit is not None and y.low <= axis.limit <= y.high:
        height = y(axis.limit)
        parts.append(line(LEFT, height, right, height, "margin"))
        parts.append(text(LEFT + 4, height - 4, axis.limit_words, "margin-text"))
    return Markup("").join(parts)


def _faint(s: Series, x: Scale, y: Scale) -> Markup:
    corners = "L".join(f"{x(level.amount):.1f},{y.clamped(e.value):.1f}" for level, e in s.points)
    path = tag("path", d=f"M{corners}", class_="curve faint")
    return tag("g", tag("title", s.name), path, data_k=str(s.mark.key))


def _series(s: Series, x: Scale, y: Scale, axis: Axis, index: int, count: int) -> Markup:
    # A small sidestep keeps the intervals of neighbours apart; the ticks show the true places.
    aside = (index - (count - 1) / 2) * min(2.0, 20.0 / max(1, count))
    parts = []
    corners = [(x(level.amount) + aside, y.clamped(e.value)) for level, e in s.points]
    if len(corners) > 1:
        path = "M" + "L".join(f"{px:.1f},{py:.1f}" for px, py in corners)
        parts.append(tag("path", d=path, class_=f"curve e{s.mark.hue}" + " void" * s.void))
    for (level, estimate), (px, py) in zip(s.points, corners, strict=True):
        drawn = [tag("title", _told(s, axis, level, estimate))]
        if bounds := estimate.bounds:
            ends = y.clamped(bounds[0]), y.clamped(bounds[1])
            drawn.append(line(px, ends[0], px, ends[1], f"e{s.mark.hue} whisker"))
        drawn.append(glyph(s.mark, px, py, 4))
        parts.append(tag("g", *drawn))
    return tag("g", *parts, data_k=str(s.mark.key))


def _told(s: Series, axis: Axis, level: LoadPoint, estimate: Estimate) -> str:
    words = f"{s.name} at {level.place}: {axis.write(estimate.value)}"
    if estimate.bounds:
        words += f" ({' to '.join(map(axis.write, estimate.bounds))})"
    return words + (" (void)" if s.void else "")


def _names(series: Sequence[Series], x: Scale, y: Scale, right: float, bottom: float) -> Markup:
    """The variants' names beside the ends of their lines, moved apart where they would touch."""
    shown = [s for s in series if s.points]
    ends = [y.clamped(s.points[-1][1].value) for s in shown]
    heights = spread(ends, LABEL_GAP, TOP, bottom)
    parts = []
    for s, end, height in zip(shown, ends, heights, strict=True):
        last = x(s.points[-1][0].amount)
        leader = line(last + 10, end, right + 2, height, "leader")
        name = fit(s.name, WIDTH - right - 6)
        label = text(right + 6, height + 4, name, f"label t{s.mark.hue}")
        parts.append(tag("g", tag("title", s.name), leader, label, data_k=str(s.mark.key)))
    return Markup("").join(parts)
