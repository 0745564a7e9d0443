"""How each format spends its bits, and from which magnitude to which the floats reach."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from eval.drawing.numbers import minus, significant, trimmed
from eval.drawing.svg import Scale, drawing, tag, text, text_width
from eval.explore.chart_frame import LABEL_ROOM, ROW, WIDTH, scale_below
from eval.explore.explorer_figures import FormatFacts
from quantize.recipes.catalogue import UNQUANTIZED_BITS

_PARTS = (("sign", 5), ("exponent", 1), ("mantissa or integer", 0), ("scales and zero points", 2))
_TOP = 26.0


def bits_chart(formats: Sequence[FormatFacts], title: str) -> Markup:
    """One bar per format, cut into sign, exponent, mantissa and its share of the scales."""
    rows = [facts for facts in formats if facts.bits <= UNQUANTIZED_BITS]
    bottom = _TOP + ROW * len(rows)
    x = Scale(low=0, high=UNQUANTIZED_BITS, start=LABEL_ROOM, end=WIDTH - 48)
    parts = [
        scale_below(x, _TOP, bottom, "bits per weight →", ticks=range(0, UNQUANTIZED_BITS + 1, 4)),
        _key(),
    ]
    for index, facts in enumerate(rows):
        parts.append(_bits_row(facts, _TOP + ROW * index, x))
    return drawing(WIDTH, bottom + 38, title, *parts)


def _key() -> Markup:
    parts, x = [], 0.0
    for words, hue in _PARTS:
        parts.append(tag("rect", x=x, y=3, width=11, height=11, class_=f"bar e{hue}"))
        parts.append(text(x + 16, 13, words, f"t{hue}"))
        x += text_width(words) + 34
    return Markup("").join(parts)


def _bits_row(facts: FormatFacts, top: float, x: Scale) -> Markup:
    shares = (facts.sign_bits, facts.exponent_bits, facts.mantissa_bits, facts.scale_bits)
    told = " + ".join(
        f"{trimmed(f'{bits:.3f}')} {words}"
        for bits, (words, _) in zip(shares, _PARTS, strict=True)
        if bits
    )
    parts = [
        tag("title", f"{facts.label}: {told}; {facts.scaling}"),
        text(LABEL_ROOM - 8, top + 15, facts.label, "label", "end"),
    ]
    start = 0.0
    for bits, (_, hue) in zip(shares, _PARTS, strict=True):
        if bits:
            width = max(x(start + bits) - x(start) - 1, 1.0)
            parts.append(
                tag("rect", x=x(start), y=top + 4, width=width, height=14, class_=f"bar e{hue}")
            )
        start += bits
    parts.append(text(x(start) + 5, top + 15, trimmed(f"{start:.4f}"), "value"))
    return tag("g", *parts)


def range_chart(formats: Sequence[FormatFacts], title: str) -> Markup:
    """From the smallest to the largest magnitude of each float; thin where precision fades."""
    rows = [f for f in formats if f.family == "floating point" and f.largest is not None]
    bottom = 8 + ROW * len(rows)
    # By exponent: FP32 reaches further than a logarithmic scale of values can be trusted.
    x = Scale(low=-46, high=39, start=LABEL_ROOM - 30, end=WIDTH - 14)
    parts = [_decades(x, bottom)]
    for index, facts in enumerate(rows):
        parts.append(_range_row(facts, 8 + ROW * index, x))
    return drawing(WIDTH, bottom + 38, title, *parts)


def _decades(x: Scale, bottom: float) -> Markup:
    powers = range(-45, 39, 15)
    words = "magnitude of one value (before its scale) →"
    return scale_below(x, 8, bottom, words, write=lambda v: minus(f"1e{v:.0f}"), ticks=powers)


def _range_row(facts: FormatFacts, top: float, x: Scale) -> Markup:
    least, normal, largest = facts.smallest, facts.smallest_normal, facts.largest
    assert least is not None, "floats have a smallest value"
    assert normal is not None, "floats have a smallest normal value"
    assert largest is not None, "floats have a largest value"
    ends = [x(math.log10(value)) for value in (least, normal, largest)]
    words = (
        f"{facts.label}: normal values {_power(normal)} to "
        f"{_power(largest)}, subnormal ones from {_power(least)}"
    )
    return tag(
        "g",
        tag("title", words),
        text(LABEL_ROOM - 38, top + 15, facts.label, "label", "end"),
        tag(
            "rect",
            x=ends[0],
            y=top + 9,
            width=max(ends[1] - ends[0], 0.5),
            height=4,
            class_="bar e1",
        ),
        tag(
            "rect",
            x=ends[1],
            y=top + 5,
            width=max(ends[2] - ends[1], 1.0),
            height=12,
            class_="bar e0",
        ),
    )


def _power(value: float) -> str:
    return significant(value) if 1e-3 <= value < 1e6 else f"{value:.2g}"
