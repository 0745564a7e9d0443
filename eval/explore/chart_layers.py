"""The model's own layers by kind: the SNR of their weights and of what enters them."""

from collections.abc import Mapping, Sequence
from statistics import median

from markupsafe import Markup

from eval.drawing.glyphs import glyph
from eval.drawing.svg import Scale, drawing, line, padded, tag, text
from eval.explore.chart_frame import WIDTH, legend, legend_height, mark, scale_below
from eval.explore.explorer_figures import LayerSnr

_ROW = 40.0
_LABELS = 82.0
_SHAPES = ("circle", "square", "diamond", "up", "down", "star")


# The order in which a block computes them; kinds of other models follow by name.
_ORDER = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def _place(kind: str) -> tuple[int, str]:
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), kind)


def layers_chart(
    layers: Sequence[LayerSnr], labels: Mapping[str, str], part: str, title: str
) -> Markup:
    """Per kind of layer and format the median over the blocks; strokes span all blocks.

    ``part`` is ``weight`` or ``input``; both charts of a model share one axis.
    """
    known = [v for s in layers for v in (s.weight_db, s.input_db) if v is not None]
    kinds = sorted({layer.kind for layer in layers}, key=_place)
    formats = list(dict.fromkeys(layer.format for layer in layers))
    entries = [(mark(i, _SHAPES[i % len(_SHAPES)]), labels[name]) for i, name in enumerate(formats)]
    top = legend_height(entries, WIDTH) + 4
    bottom = top + _ROW * len(kinds)
    low, high = padded(known) if known else (0.0, 1.0)
    x = Scale(low=low, high=high, start=_LABELS, end=WIDTH - 12)
    parts = [
        legend(entries, 0, 0, WIDTH),
        scale_below(x, top, bottom, "SNR in dB, higher is better →"),
    ]
    for row, kind in enumerate(kinds):
        base = top + _ROW * row
        parts.append(line(_LABELS, base, WIDTH - 12, base, "grid"))
        parts.append(text(_LABELS - 8, base + _ROW / 2 + 4, kind, "label", "end"))
        for index, (look, label) in enumerate(entries):
            found = [s for s in layers if s.kind == kind and s.format == formats[index]]
            values = [v for s in found if (v := getattr(s, f"{part}_db")) is not None]
            if not values:
                continue
            y = base + _ROW * (index + 0.7) / (len(entries) + 0.4)
            words = (
                f"{kind} in {label}, {part}s: median {median(values):.1f} dB "
                f"({min(values):.1f} to {max(values):.1f} over {len(values)} layers)"
            )
            parts.append(
                tag(
                    "g",
                    tag("title", words),
                    line(x(min(values)), y, x(max(values)), y, f"whisker e{look.hue}"),
                    glyph(look, x(median(values)), y, 4),
                    data_k=f"format-{formats[index]}",
                )
            )
    return drawing(WIDTH, bottom + 38, title, *parts)
