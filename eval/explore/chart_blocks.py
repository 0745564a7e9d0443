"""FP4 over block sizes and scale formats, with the places of NVFP4, MXFP4 and plain FP4."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from eval.drawing.axes import axis_below, axis_beside
from eval.drawing.glyphs import glyph
from eval.drawing.svg import Scale, drawing, padded, tag, text
from eval.explore.chart_frame import WIDTH, legend, legend_height, mark
from eval.explore.explorer_figures import BlockPoint

_LEFT, _PLOT = 46.0, 210.0
LOOKS = {
    "FP32": mark(5, "circle"),
    "FP16": mark(4, "up", hollow=True),
    "E4M3": mark(0, "diamond"),
    "E8M0": mark(1, "square"),
}
_WORDS = {
    "FP32": "FP32 scale",
    "FP16": "FP16 scale",
    "E4M3": "E4M3 + FP32 per tensor",
    "E8M0": "E8M0 (power of two)",
}
# The place that "per tensor" takes on an axis of block sizes.
_TENSOR = 1024
STANDARDS = {("E4M3", 16): "NVFP4", ("E8M0", 32): "MXFP4", ("FP32", None): "plain FP4"}


def over_block_size(points: Sequence[BlockPoint], title: str) -> Markup:
    """SNR over the number of values that share a scale, smaller blocks to the left."""
    sizes = sorted({point.block or _TENSOR for point in points})
    ticks = [(size, "tensor" if size == _TENSOR else str(size)) for size in sizes]
    x = Scale(low=min(sizes), high=max(sizes), start=_LEFT + 16, end=WIDTH - 26, logarithmic=True)
    return _chart(points, title, x, ticks, lambda p: p.block or _TENSOR, "values per scale →")


def over_bits(points: Sequence[BlockPoint], title: str) -> Markup:
    """The same SNR over the bits that one weight costs, its share of the scale included."""
    shown = [point for point in points if point.bits <= 5.1]
    ticks = [(value, f"{value:g}") for value in (4.0, 4.25, 4.5, 4.75, 5.0)]
    x = Scale(low=4.0, high=5.05, start=_LEFT + 16, end=WIDTH - 26)
    return _chart(shown, title, x, ticks, lambda p: p.bits, "bits per weight →")


def _chart(
    points: Sequence[BlockPoint],
    title: str,
    x: Scale,
    ticks: Sequence[tuple[float, str]],
    place: Callable[[BlockPoint], float],
    words: str,
) -> Markup:
    entries = [(look, _WORDS[name]) for name, look in LOOKS.items()]
    top = legend_height(entries, WIDTH) + 10
    bottom = top + _PLOT
    low, high = padded([point.snr_db for point in points], 0.1)
    y = Scale(low=low, high=high, start=bottom, end=top)
    parts = [legend(entries, 0, 0, WIDTH), _frame(x, y, ticks, words)]
    for name, look in LOOKS.items():
        series = sorted((p for p in points if p.scale == name), key=place)
        path = "M" + "L".join(f"{x(place(p)):.1f},{y(p.snr_db):.1f}" for p in series)
        drawn = [tag("path", d=path, class_=f"curve e{look.hue}")] if len(series) > 1 else []
        drawn += [_point(p, x(place(p)), y(p.snr_db)) for p in series]
        parts.append(tag("g", *drawn, data_k=f"scale-{name}"))
    parts += [_named(p, x(place(p)), y(p.snr_db)) for p in points]
    return drawing(WIDTH, bottom + 38, title, *parts)


def _frame(x: Scale, y: Scale, ticks: Sequence[tuple[float, str]], words: str) -> Markup:
    ends = (_LEFT, WIDTH - 10)
    return Markup("").join(
        [
            axis_beside(ends, [(y(value), f"{value:g}") for value in y.ticks(8)]),
            axis_below(ends, y.start, [(x(value), label) for value, label in ticks], words),
            text(_LEFT, y.start + 33, "↑ SNR in dB", "axis"),
        ]
    )


def _point(point: BlockPoint, x: float, y: float) -> Markup:
    shared = "the whole tensor" if point.block is None else f"{point.block} values"
    words = (
        f"FP4, {_WORDS[point.scale]} for {shared}: {point.snr_db:.2f} dB at "
        f"{point.bits:.3f} bits per weight"
    )
    return tag("g", tag("title", words), glyph(LOOKS[point.scale], x, y, 4))


def _named(point: BlockPoint, x: float, y: float) -> Markup:
    """The name of a standard format at its point, with a ring."""
    name = STANDARDS.get((point.scale, point.block))
    if name is None:
        return Markup("")
    ring = tag("circle", cx=x, cy=y, r=8, class_="ring")
    # NVFP4 lies on the upper lines and is named above them, the others below.
    shift, anchor = ((9, -8), "start") if point.scale == "E4M3" else ((-10, 16), "end")
    if x < _LEFT + 60:
        shift, anchor = (12, 5), "start"
    label = text(x + shift[0], y + shift[1], name, "label", anchor)
    return tag("g", ring, label)
