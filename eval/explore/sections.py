"""The explorer's page in order: from bits to values, errors, scales, layers and the loss."""

from dataclasses import replace

from eval.explore import words
from eval.explore.chart_bits import bits_chart, range_chart
from eval.explore.chart_blocks import over_bits, over_block_size
from eval.explore.chart_errors import ridge_chart, snr_chart
from eval.explore.chart_grids import linear_chart, logarithmic_chart
from eval.explore.chart_heat import heat_chart
from eval.explore.chart_layers import layers_chart
from eval.explore.chart_tradeoff import NARROW, WIDE, tradeoff_chart
from eval.explore.explorer_figures import Figures
from eval.explore.explorer_panels import Panel, Section


def sections(figures: Figures) -> list[Section]:
    """Every section with its figures."""
    return [
        _bits(figures),
        _grids(figures),
        _errors(figures),
        snr_section(figures),
        blocks_section(figures),
        _layers(figures),
        sensitivity_section(figures),
    ]


def number_formats(figures: Figures) -> list[Section]:
    """The three sections that a report on one model shows; of the block sizes, the weights'."""
    blocks = blocks_section(figures)
    own = tuple(p for p in blocks.panels if p.name in ("blocks-weights", "blocks-bits"))
    return [
        snr_section(figures),
        replace(blocks, panels=own),
        sensitivity_section(figures),
    ]


def _bits(figures: Figures) -> Section:
    spent, reach = "Bits per weight", "Range of one value, by logarithm"
    return Section(
        name="bits",
        title="Where the bits go",
        words=words.bits(figures),
        panels=(
            Panel(name="bits", title=spent, picture=bits_chart(figures.formats, spent)),
            Panel(
                name="range",
                title=reach,
                picture=range_chart(figures.formats, reach),
                note="Thick: normal values, full precision. Thin: subnormal values, which lose a "
                "bit of precision with every halving.",
            ),
        ),
    )


def _grids(figures: Figures) -> Section:
    linear, logarithmic = "All values, linear", "Values above zero, by logarithm"
    return Section(
        name="values",
        title="Which values there are",
        words=words.grids(figures),
        panels=(
            Panel(name="values-linear", title=linear, picture=linear_chart(figures.grids, linear)),
            Panel(
                name="values-logarithmic",
                title=logarithmic,
                picture=logarithmic_chart(figures.grids, logarithmic),
            ),
        ),
    )


def _errors(figures: Figures) -> Section:
    title = "Errors on Gaussian data and on heavy tails"
    second = "weights", "inputs" if any(d.name == "inputs" for d in figures.data) else "channels"
    own = "Errors on the model's own weights and inputs"
    return Section(
        name="errors",
        title="How large the errors are",
        words=words.errors(figures),
        panels=(
            Panel(
                name="errors-synthetic",
                title=title,
                picture=ridge_chart(figures, "gaussian", "student", title),
            ),
            Panel(name="errors-model", title=own, picture=ridge_chart(figures, *second, own)),
        ),
    )


def snr_section(figures: Figures) -> Section:
    """SNR per format and data set, and what it costs."""
    dots, price = "SNR per format and data", "SNR of the model's weights over their size"
    four = "The same for formats of four bits and a scale"
    return Section(
        name="snr",
        title="What is left of the signal",
        words=words.snr(figures),
        panels=(
            Panel(
                name="snr",
                title=dots,
                picture=snr_chart(figures, [d.name for d in figures.data], dots),
                note="At the right edge: more than 80 dB, or not a single value changed.",
            ),
            Panel(
                name="snr-over-bits",
                title=price,
                picture=tradeoff_chart(figures, "weights", WIDE, price),
                note="Dotted: 6.02 dB per bit, drawn through INT8 g128. The crowd at four bits is "
                "drawn larger in the next figure.",
            ),
            Panel(
                name="snr-four-bits",
                title=four,
                picture=tradeoff_chart(figures, "weights", NARROW, four),
                note="Dotted: the same line.",
            ),
        ),
    )


def blocks_section(figures: Figures) -> Section:
    """FP4 over block sizes and scale formats."""
    panels = []
    for entry in figures.data:
        if entry.name == "student":
            continue
        points = [p for p in figures.blocks if p.data == entry.name]
        title = f"FP4 over block size: {entry.label.lower() if entry.tensors > 1 else entry.label}"
        panels.append(
            Panel(name=f"blocks-{entry.name}", title=title, picture=over_block_size(points, title))
        )
        if entry.name == "weights":
            title = "FP4 on weights over storage"
            panels.append(Panel(name="blocks-bits", title=title, picture=over_bits(points, title)))
    return Section(
        name="blocks",
        title="Why NVFP4 has small blocks and two levels of scales",
        words=words.blocks(figures),
        panels=tuple(panels),
    )


def _layers(figures: Figures) -> Section:
    labels = {facts.name: facts.label for facts in figures.formats}
    panels = []
    for part, title in (("weight", "SNR of the weights"), ("input", "SNR of the layers' inputs")):
        if any(getattr(s, f"{part}_db") is not None for s in figures.layers):
            picture = layers_chart(figures.layers, labels, part, title)
            panels.append(Panel(name=f"layers-{part}s", title=title, picture=picture))
    return Section(
        name="layers",
        title="Weights against layer inputs",
        words=words.layers(figures),
        panels=tuple(panels),
    )


def sensitivity_section(figures: Figures) -> Section:
    """The heat maps, one per format."""
    felt = figures.sensitivity
    panels = []
    for name in felt.formats:
        title = f"One layer in {words.trial_label(figures, name)}"
        panels.append(
            Panel(
                name=f"sensitivity-{name.replace('+', '-')}",
                title=title,
                picture=heat_chart(felt, name, title),
            )
        )
    return Section(
        name="sensitivity",
        title="Which layers mind",
        words=words.sensitivity(figures),
        panels=tuple(panels),
        gap=f"Not measured: {felt.why_not}." if felt.why_not else "",
    )
