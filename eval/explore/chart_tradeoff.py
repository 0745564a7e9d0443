"""SNR over bits per weight: what each format gets for its storage."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from eval.drawing.axes import axis_beside
from eval.drawing.glyphs import Mark, glyph
from eval.drawing.labels import Anchor, Box, leader, place
from eval.drawing.svg import Scale, drawing, padded, tag, text
from eval.explore.chart_errors import quantized
from eval.explore.chart_frame import WIDTH, legend, legend_height, mark, scale_below
from eval.explore.explorer_figures import Figures, FormatFacts, Snr

# One bit more halves the step of an integer, and with it the error: 20 log10 2 dB.
DB_PER_BIT = 20 * math.log10(2)
_ANCHOR = "int8-g128"
WIDE, NARROW = (4.0, 9.0), (4.0, 4.6)
_CROWDED_BITS = 5.0
_LEFT, _PLOT = 46.0, 340.0
_FAMILIES: Mapping[str, Mark] = {
    "floating point": mark(0, "circle"),
    "scaled blocks": mark(1, "diamond"),
    "integer groups": mark(2, "square"),
    "GGUF": mark(3, "up"),
}


def tradeoff_chart(figures: Figures, data: str, bits: tuple[float, float], title: str) -> Markup:
    """A point per format of so many bits, and the line of 6.02 dB per bit through INT8 g128.

    Where the range is wide, only formats of more than five bits are named: the others crowd, and
    have a picture of their own.
    """
    shown = [
        (facts, found.median_db)
        for facts in quantized(figures)
        if bits[0] <= facts.bits <= bits[1]
        and (found := figures.snr_of(data, facts.name)) is not None
        and found.median_db is not None
    ]
    entries = [(look, words) for words, look in _FAMILIES.items()]
    top = legend_height(entries, WIDTH) + 6
    bottom = top + _PLOT
    margin = (bits[1] - bits[0]) * 0.06
    x = Scale(low=bits[0] - margin, high=bits[1] + margin, start=_LEFT, end=WIDTH - 10)
    low, high = padded([db for _, db in shown] or [0.0, 50.0], 0.08)
    y = Scale(low=low, high=high, start=bottom, end=top)
    parts = [
        legend(entries, 0, 0, WIDTH),
        scale_below(x, top, bottom, "bits per weight, scales included →"),
        text(_LEFT, bottom + 33, "↑ SNR in dB", "axis"),
        axis_beside((_LEFT, WIDTH - 10), [(y(value), f"{value:.0f}") for value in y.ticks(5)]),
        _theory(figures.facts(_ANCHOR).bits, figures.snr_of(data, _ANCHOR), x, y),
        _points(shown, x, y, Box(_LEFT, top, WIDTH, bottom), all_named=bits == NARROW),
    ]
    return drawing(WIDTH, bottom + 38, title, *parts)


def _theory(anchor_bits: float, found: Snr | None, x: Scale, y: Scale) -> Markup:
    if found is None or found.median_db is None:
        return Markup("")
    anchor = (anchor_bits, found.median_db)
    # Cut where the line leaves the plot.
    first = max(x.low, anchor[0] - (anchor[1] - y.low) / DB_PER_BIT)
    last = min(x.high, anchor[0] + (y.high - anchor[1]) / DB_PER_BIT)
    ends = [(x(bits), y(anchor[1] + (bits - anchor[0]) * DB_PER_BIT)) for bits in (first, last)]
    path = f"M{ends[0][0]:.1f},{ends[0][1]:.1f}L{ends[1][0]:.1f},{ends[1][1]:.1f}"
    return tag("g", tag("title", "6.02 dB per bit"), tag("path", d=path, class_="front"))


def _points(
    shown: Sequence[tuple[FormatFacts, float]], x: Scale, y: Scale, frame: Box, *, all_named: bool
) -> Markup:
    anchors = [
        Anchor(x=x(f.bits), y=y(db), words=f.label, short=f.label, radius=6) for f, db in shown
    ]
    parts = []
    for (facts, db), at, label in zip(shown, anchors, place(anchors, frame), strict=True):
        look = _FAMILIES[facts.family]
        drawn = [
            tag("title", f"{facts.label}: {facts.bits:.3f} bits per weight, {db:.1f} dB"),
            glyph(look, at.x, at.y, 5),
        ]
        if label is not None and (all_named or facts.bits > _CROWDED_BITS):
            if label.leader:
                drawn.append(leader(at, label.box))
            drawn.append(text(label.x, label.y, label.words, f"label t{look.hue}"))
        parts.append(tag("g", *drawn))
    return Markup("").join(parts)
