"""Quality against speed: one panel per task, up and right is better."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from eval.drawing.axes import axis_below, axis_beside
from eval.drawing.glyphs import Mark, glyph
from eval.drawing.labels import Anchor, Box, leader, place
from eval.drawing.svg import Scale, drawing, line, padded, tag, text, text_width
from eval.report.formats import difference, difference_unit, significant, trimmed
from loadtest.intervals import Estimate

WIDTH, HEIGHT = 450.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 438.0, 22.0, 296.0
# A loss of more margins than this is drawn at the edge with an arrow, so that one ruined variant
# does not flatten the differences that decide.
CLIP_MARGINS = 2.5
# More names than this would cover one another; ranks, explained by the key, stand in for them.
MOST_NAMES = 12


@dataclass(frozen=True, kw_only=True)
class Point:
    """One variant: speed in tokens per second, and its difference to the baseline on one task.

    ``gain`` has no interval for the baseline itself, whose difference is zero by definition.
    """

    name: str
    rank: int
    mark: Mark
    speed: Estimate
    gain: Estimate
    baseline: bool


def scatter(
    points: Sequence[Point], *, task: str, metric: str, margin: float, noise_floor: float | None
) -> Markup:
    """The panel of one task. The axis of a log-likelihood is turned over, so that up is better."""
    sign = 1.0 if metric == "accuracy" else -1.0
    floor = clip_floor([_gain(p, sign) for p in points], margin)
    speeds = padded([v for p in points for v in p.speed.known])
    heights = [0.0, -margin, *(sign * v for p in points for v in p.gain.known)]
    low, high = padded([max(value, floor) for value in heights], 0.1)
    x = Scale(low=speeds[0], high=speeds[1], start=LEFT + 8, end=RIGHT - 8)
    y = Scale(low=low, high=high, start=BOTTOM - 16, end=TOP + 4)
    parts = [_frame(x, y, sign, metric), _bands(y, margin, noise_floor, sign, metric)]
    parts.append(_front(points, x, y, sign))
    parts += [_point(point, x, y, sign, metric) for point in points]
    parts.append(_labels(points, x, y, sign, metric, margin))
    label = f"{task}: difference to the baseline against output tokens per second"
    return drawing(WIDTH, HEIGHT, label, *parts)


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that none beats in both coordinates, by rising first coordinate."""
    best, front = float("-inf"), []
    for index in sorted(range(len(points)), key=lambda i: (-points[i][0], -points[i][1])):
        if points[index][1] > best:
            best = points[index][1]
            front.append(index)
    return front[::-1]


def _gain(point: Point, sign: float) -> tuple[float, float]:
    """The gain and the worse end of its interval, up being better."""
    return sign * point.gain.value, min(sign * value for value in point.gain.known)


def clip_floor(gains: Sequence[tuple[float, float]], margin: float) -> float:
    """The lowest gain that is drawn to scale, of (value, low end of its interval) pairs.

    Minus infinity where every value lies within ``CLIP_MARGINS`` margins.
    """
    if margin == 0 or all(value >= -CLIP_MARGINS * margin for value, _ in gains):
        return float("-inf")
    kept = [low for value, low in gains if value >= -CLIP_MARGINS * margin]
    return min([-1.6 * margin, *kept])


def _frame(x: Scale, y: Scale, sign: float, metric: str) -> Markup:
    parts = [text(4, 12, f"{difference_unit(metric)} against the baseline, up is better", "axis")]
    beside = [(y(value), trimmed(difference(metric, sign * value))) for value in y.ticks(7)]
    parts.append(axis_beside((LEFT, RIGHT), beside))
    below = [(x(value), trimmed(significant(value))) for value in x.ticks(5)]
    parts.append(axis_below((LEFT, RIGHT), BOTTOM, below, "output tokens per second →"))
    return Markup("").join(parts)


def _bands(y: Scale, margin: float, noise: float | None, sign: float, metric: str) -> Markup:
    parts = []
    if noise:
        top, bottom = y.clamped(noise), y.clamped(-noise)
        parts.append(
            tag("rect", x=LEFT, y=top, width=RIGHT - LEFT, height=bottom - top, class_="noise")
        )
    parts.append(line(LEFT, y(0), RIGHT, y(0), "zero"))
    parts.append(line(LEFT, y(-margin), RIGHT, y(-margin), "margin"))
    words = f"margin {difference(metric, -margin * sign)}"
    parts.append(text(LEFT + 4, y(-margin) + 13, words, "margin-text"))
    return Markup("").join(parts)


def _front(points: Sequence[Point], x: Scale, y: Scale, sign: float) -> Markup:
    chosen = pareto([(p.speed.value, sign * p.gain.value) for p in points])
    corners = [(x(points[i].speed.value), y.clamped(sign * points[i].gain.value)) for i in chosen]
    steps = [f"M{corners[0][0]:.1f},{corners[0][1]:.1f}"] if corners else []
    steps += [f"V{later[1]:.1f}H{later[0]:.1f}" for later in corners[1:]]
    return tag("path", d="".join(steps), class_="front") if len(corners) > 1 else Markup("")


def _clipped(point: Point, y: Scale, sign: float) -> bool:
    return sign * point.gain.value < y.low


def _point(point: Point, x: Scale, y: Scale, sign: float, metric: str) -> Markup:
    px, py = x(point.speed.value), y.clamped(sign * point.gain.value)
    hue = f"e{point.mark.hue} whisker"
    parts = [tag("title", _told(point, metric))]
    if speeds := point.speed.bounds:
        parts.append(line(x(speeds[0]), py, x(speeds[1]), py, hue))
    if point.gain.bounds and not point.baseline:
        ends = [y.clamped(sign * v) for v in point.gain.bounds]
        parts.append(line(px, ends[0], px, ends[1], hue))
    if _clipped(point, y, sign):
        parts.append(
            tag("path", d=f"M{px - 4:.1f},{py + 7:.1f}h8l-4,6z", class_=f"e{point.mark.hue} glyph")
        )
    if point.baseline:
        parts.append(tag("circle", cx=px, cy=py, r=9, class_="ring"))
    parts.append(glyph(point.mark, px, py))
    return tag("g", *parts, data_k=str(point.mark.key))


def _told(point: Point, metric: str) -> str:
    change = (
        "the baseline"
        if point.baseline
        else (f"{difference(metric, point.gain.value)} {difference_unit(metric)}")
    )
    return f"{point.name}: {significant(point.speed.value)} tok/s, {change}"


def _labels(
    points: Sequence[Point], x: Scale, y: Scale, sign: float, metric: str, margin: float
) -> Markup:
    named = len(points) <= MOST_NAMES
    anchors = [_anchor(point, x, y, sign, metric, named=named) for point in points]
    soft = [box for point in points for box in _strokes(point, x, y, sign)]
    soft += [Box(LEFT, y(v) - 1, RIGHT, y(v) + 1) for v in (-margin, 0.0)]
    margin_text = Box(LEFT, y(-margin), LEFT + text_width("margin −00.0") + 8, y(-margin) + 16)
    frame = Box(LEFT, TOP - 4, RIGHT + 8, BOTTOM)
    parts = []
    placed = place(anchors, frame, hard=[margin_text], soft=soft)
    for point, anchor, label in zip(points, anchors, placed, strict=True):
        if label is not None:
            drawn = [text(label.x, label.y, label.words, f"label t{point.mark.hue}")]
            if label.leader:
                drawn.insert(0, leader(anchor, label.box))
            parts.append(tag("g", *drawn, data_k=str(point.mark.key)))
    return Markup("").join(parts)


def _anchor(point: Point, x: Scale, y: Scale, sign: float, metric: str, *, named: bool) -> Anchor:
    words = point.name if named else f"#{point.rank}"
    if _clipped(point, y, sign):
        words += f" {difference(metric, point.gain.value)}"
    return Anchor(
        x=x(point.speed.value),
        y=y.clamped(sign * point.gain.value),
        words=words,
        short=f"#{point.rank}",
    )


def _strokes(point: Point, x: Scale, y: Scale, sign: float) -> list[Box]:
    """The point's error bars as boxes that labels had better not cover."""
    px, py = x(point.speed.value), y.clamped(sign * point.gain.value)
    across = [x(v) for v in point.speed.known]
    along = [y.clamped(sign * v) for v in point.gain.known]
    return [
        Box(min(across), py - 1, max(across), py + 1),
        Box(px - 1, min(along), px + 1, max(along)),
    ]
