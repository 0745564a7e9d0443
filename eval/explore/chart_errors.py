"""Errors: their distribution per format as ridges, and SNR as dots and over bits."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from eval.drawing.glyphs import Mark, glyph
from eval.drawing.svg import Scale, drawing, line, tag, text
from eval.explore.chart_frame import (
    LABEL_ROOM,
    WIDTH,
    legend,
    legend_height,
    mark,
    scale_below,
)
from eval.explore.explorer_figures import Figures, FormatFacts, Histogram, Snr

_RIDGE = 27.0
_LIFT = 44.0
DATA_MARKS = {
    "gaussian": mark(0, "circle"),
    "student": mark(1, "up"),
    "channels": mark(2, "square"),
    "weights": mark(3, "diamond"),
    "inputs": mark(4, "down", hollow=True),
}
_MOST_DB = 80.0
_DOTS, _STEP = 32.0, 5.5
# Where symbols stand whose SNR is off the scale.
_BEYOND = 26.0


def quantized(figures: Figures) -> list[FormatFacts]:
    """The formats that lose something, the widest first; of equal width in the file's order."""
    lossy = [facts for facts in figures.formats if facts.name != "fp32"]
    return sorted(lossy, key=lambda facts: -facts.bits)


def ridge_chart(figures: Figures, filled: str, outlined: str, title: str) -> Markup:
    """One ridge per format: filled for one data set, an outline for another."""
    rows = quantized(figures)
    entries = [(DATA_MARKS[name], _label(figures, name)) for name in (filled, outlined)]
    head = legend_height(entries, WIDTH) + _LIFT - _RIDGE
    bottom = head + _RIDGE * len(rows)
    found = {(h.data, h.format): h for h in figures.histograms}
    x = Scale(low=1e-6, high=10, start=LABEL_ROOM, end=WIDTH - 12, logarithmic=True)
    parts = [
        legend(entries, 0, 0, WIDTH),
        scale_below(x, head, bottom, "|error| / RMS of the data →", write=_power),
    ]
    for index, facts in enumerate(rows):
        base = head + _RIDGE * (index + 1)
        for name, kind in ((filled, "ridge"), (outlined, "curve")):
            histogram = found.get((name, facts.name))
            if histogram is not None:
                parts.append(_ridge(histogram, facts, base, x, kind, DATA_MARKS[name]))
        parts.append(text(LABEL_ROOM - 8, base - 5, facts.label, "label", "end"))
    return drawing(WIDTH, bottom + 38, title, *parts)


def _ridge(
    histogram: Histogram, facts: FormatFacts, base: float, x: Scale, kind: str, look: Mark
) -> Markup:
    bins = len(histogram.counts)
    step = (histogram.high - histogram.low) / bins
    # 0.12 of all values in one bin reaches the full height; no format has much more.
    heights = [min(count / 0.12, 1.0) * (_LIFT - 6) for count in histogram.counts]
    corners = [
        f"{x.clamped(10 ** (histogram.low + step * (place + 0.5))):.1f},{base - height:.1f}"
        for place, height in enumerate(heights)
    ]
    shown = [i for i, count in enumerate(histogram.counts) if count > 1e-5]
    if not shown:
        return Markup("")
    kept = corners[max(0, shown[0] - 1) : shown[-1] + 2]
    first, last = kept[0].split(",")[0], kept[-1].split(",")[0]
    path = f"M{first},{base:.1f}L{'L'.join(kept)}L{last},{base:.1f}"
    peak = max(range(bins), key=lambda i: histogram.counts[i])
    typical = 10 ** (histogram.low + step * (peak + 0.5))
    words = (
        f"{facts.label}: most common error {typical:.2g} of the RMS; "
        f"{histogram.exact:.1%} of the values without error"
    )
    return tag("g", tag("title", words), tag("path", d=path, class_=f"{kind} e{look.hue}"))


def _power(value: float) -> str:
    return f"1e{round(math.log10(value))}".replace("-", "−")


def _label(figures: Figures, name: str) -> str:
    return next((entry.label for entry in figures.data if entry.name == name), name)


def snr_chart(figures: Figures, names: Sequence[str], title: str) -> Markup:
    """SNR of every format, one symbol per data set; strokes span the model's layers."""
    rows = quantized(figures)
    entries = [(DATA_MARKS[name], _label(figures, name)) for name in names]
    head = legend_height(entries, WIDTH)
    bottom = head + _DOTS * len(rows)
    x = Scale(low=0, high=_MOST_DB, start=LABEL_ROOM, end=WIDTH - 44)
    parts = [
        legend(entries, 0, 0, WIDTH),
        scale_below(x, head, bottom, "SNR in dB, higher is better →"),
    ]
    for index, facts in enumerate(rows):
        middle = head + _DOTS * (index + 0.5)
        parts.append(text(LABEL_ROOM - 8, middle + 4, facts.label, "label", "end"))
        parts.append(line(x.start, middle + _DOTS / 2, x.end, middle + _DOTS / 2, "grid"))
        for place, name in enumerate(names):
            found = figures.snr_of(name, facts.name)
            if found is not None:
                # A small step down per data set keeps symbols of equal SNR apart.
                height = middle + (place - (len(names) - 1) / 2) * _STEP
                parts.append(_dot(found, facts, _label(figures, name), x, height))
    return drawing(WIDTH, bottom + 38, title, *parts)


def _dot(found: Snr, facts: FormatFacts, label: str, x: Scale, height: float) -> Markup:
    look = DATA_MARKS[found.data]
    if found.median_db is None or found.median_db > _MOST_DB:
        told = "exact" if found.median_db is None else f"{found.median_db:.1f} dB"
        drawn = [glyph(look, x.end + _BEYOND, height, 4)]
        return tag("g", tag("title", f"{facts.label} on {label}: {told}"), *drawn)
    words = f"{facts.label} on {label}: {found.median_db:.1f} dB"
    drawn = []
    if found.low_db is not None and found.high_db is not None and found.high_db > found.low_db:
        words += f" ({found.low_db:.1f} to {found.high_db:.1f} over the layers)"
        ends = x.clamped(found.low_db), x.clamped(found.high_db)
        drawn.append(line(ends[0], height, ends[1], height, f"whisker e{look.hue}"))
    drawn.append(glyph(look, x.clamped(found.median_db), height, 4))
    return tag("g", tag("title", words), *drawn, data_k=f"data-{found.data}")
