"""What to see in each figure, said with numbers that come out of the figures."""

from collections.abc import Iterable
from statistics import median

from eval.drawing.numbers import minus, significant, trimmed
from eval.explore.chart_heat import is_certain
from eval.explore.chart_tradeoff import DB_PER_BIT
from eval.explore.explorer_figures import BlockPoint, Cell, Figures, Snr


def bits(figures: Figures) -> tuple[str, ...]:
    """How the bits are spent."""
    nv, mx, q4 = (figures.facts(name) for name in ("nvfp4", "mxfp4", "q4_k"))
    e4m3, e5m2 = figures.facts("fp8-e4m3"), figures.facts("fp8-e5m2")
    return (
        "A float spends its bits on a sign, an exponent (how far it reaches) and a mantissa (how "
        "finely it steps). FP32 spends 32; the bars below show what is left of them.",
        f"Formats of four bits are never just four: NVFP4 costs {_bits(nv.bits)} bits per weight, "
        f"MXFP4 {_bits(mx.bits)} and Q4_K {_bits(q4.bits)}, because every block of weights brings "
        "a scale along.",
        f"E5M2 gives one mantissa bit of E4M3 for one exponent bit: its largest value is "
        f"{e5m2.largest or 0:,.0f} instead of {e4m3.largest or 0:,.0f}, at half the "
        "precision in between.",
    )


def grids(figures: Figures) -> tuple[str, ...]:
    """How the values lie."""
    of = {grid.name: grid for grid in figures.grids}
    four, eight = of["e2m1"].values, of["int8"].values
    return (
        "Integers step evenly; floats step finely near zero and coarsely far from it. Weights "
        "crowd around zero, which is where a float has its values.",
        f"E2M1 has {len(four)} magnitudes: {', '.join(f'{v:g}' for v in four)}. Everything must "
        f"land on one of them after scaling, where INT8 has {len(eight)}.",
        "On the logarithmic line a float's strokes keep their distance down to its smallest normal "
        "value, while an integer's run out: that is what an exponent buys.",
    )


def errors(figures: Figures) -> tuple[str, ...]:
    """The error histograms."""
    student = _db(figures.snr_of("student", "int4-g128"))
    gauss = _db(figures.snr_of("gaussian", "int4-g128"))
    return (
        "Each hill shows how often errors of a size occur, by logarithm: one step to the left is "
        "ten times less error. Formats stand in the order of their bits.",
        f"Outliers move the hill to the right where many values share a scale: INT4 g128 falls "
        f"from {gauss} dB on Gaussian data to {student} dB on heavy tails.",
        f"Values that a format holds exactly are in no hill: of the model's weights that is "
        f"{_exact(figures)}.",
    )


def snr(figures: Figures) -> tuple[str, ...]:
    """SNR per format and data set."""
    eight, four = figures.snr_of("weights", "int8-g128"), figures.snr_of("weights", "int4-g128")
    said = [
        "SNR compares the energy of the values with that of their errors: 20 dB means errors of a "
        "tenth, 40 dB of a hundredth. Strokes span the model's layers."
    ]
    if eight and four and eight.median_db is not None and four.median_db is not None:
        per_bit = (eight.median_db - four.median_db) / 4
        said.append(
            f"Theory promises integers {DB_PER_BIT:.2f} dB per bit. On this model's weights INT8 "
            f"g128 reaches {eight.median_db:.1f} dB and INT4 g128 {four.median_db:.1f} dB: "
            f"{per_bit:.2f} dB per bit."
        )
    best = _best(figures, "weights", 4.0, 5.0)
    loud = figures.snr_of("channels", "fp4-e2m1"), figures.snr_of("channels", "nvfp4")
    if best is not None:
        said.append(
            f"Of the formats of 4 to 5 bits {best[0]} keeps these weights best "
            f"({best[1]:.1f} dB). On data with loud channels plain FP4 holds {_db(loud[0])} dB and "
            f"NVFP4 {_db(loud[1])} dB."
        )
    return tuple(said)


def blocks(figures: Figures) -> tuple[str, ...]:
    """Why NVFP4 has blocks of 16 and two levels of scales."""
    of = {(p.data, p.scale, p.block): p for p in figures.blocks}
    data = "weights"
    nv, mx = of.get((data, "E4M3", 16)), of.get((data, "E8M0", 32))
    plain, same = of.get((data, "FP32", None)), of.get((data, "E8M0", 16))
    exact = of.get((data, "FP32", 16))
    if not (nv and mx and plain and same and exact):
        return ("The layers of this model are too narrow for the blocks of NVFP4 and MXFP4.",)
    return (
        "All points below are FP4 values (E2M1); only the scales differ. A small block follows its "
        "own largest value and so loses less to an outlier elsewhere, but pays for more scales.",
        f"A power of two as scale (E8M0) misses the best scale by up to a factor of two; an E4M3 "
        f"scale has a mantissa. At 16 values that is worth {_gain(nv, same)} dB for the same "
        f"storage, and it stays within {_gain(exact, nv)} dB of an FP32 scale.",
        f"NVFP4 (E4M3, 16 values, {_bits(nv.bits)} bits) reaches {nv.snr_db:.1f} dB on a layer of "
        f"this model, MXFP4 (E8M0, 32 values, {_bits(mx.bits)} bits) {mx.snr_db:.1f} dB, plain FP4 "
        f"{plain.snr_db:.1f} dB. E4M3 alone spans too few powers of two for whole tensors; "
        "the FP32 scale above it moves each tensor into its range.",
    )


def layers(figures: Figures) -> tuple[str, ...]:
    """Weights against layer inputs."""
    both = [s for s in figures.layers if s.format == "nvfp4" and s.input_db is not None]
    if not both:
        return ("Only the weights were measured: the model was not run.",)
    gaps = {form: _gap(figures, form) for form in dict.fromkeys(s.format for s in figures.layers)}
    widest, least = (pick(gaps, key=lambda form: gaps[form]) for pick in (max, min))
    hardest = max(both, key=lambda s: s.input_crest or 0.0)
    return (
        "A W4A4 or W8A8 format rounds the inputs of a layer as well as its weights. From weights "
        f"to inputs the median layer's SNR changes by {_change(-gaps[widest])} in "
        f"{figures.facts(widest).label}, and by {_change(-gaps[least])} in "
        f"{figures.facts(least).label}.",
        f"The largest weight of a layer is {significant(median(s.weight_crest for s in both))} "
        f"times the RMS (median); of the inputs it is "
        f"{significant(median(s.input_crest or 0.0 for s in both))} times, and "
        f"{significant(hardest.input_crest or 0.0)} times at {hardest.layer.split('layers.')[-1]}. "
        "The further the largest value stands out, the coarser the steps for all others.",
    )


def sensitivity(figures: Figures) -> tuple[str, ...]:
    """The heat map."""
    felt = figures.sensitivity
    if not felt.cells or felt.loss is None:
        return ()
    worst = max(felt.cells, key=lambda c: c.divergence)
    beyond = sum(is_certain(cell) for cell in felt.cells)
    totals = {name: _sum(c for c in felt.cells if c.format == name) for name in felt.formats}
    by_kind = {kind: _sum(c for c in felt.cells if c.kind == kind) for kind in felt.kinds}
    first = max(by_kind, key=lambda kind: by_kind[kind])
    order = ", ".join(
        f"{trial_label(figures, name)} {_milli(totals[name])}"
        for name in sorted(totals, key=lambda name: totals[name])
    )
    return (
        f"One layer is quantized, all others are left alone, and {felt.tokens:,} tokens of text "
        f"are predicted again (unquantized loss {felt.loss:.3f} nats per token). Colour and number "
        "are the rise of the loss on the text that the model itself expects (KL divergence, "
        "1/1000 nat per token): it has far less chance in it than the loss on one text. "
        f"That loss itself moved beyond two standard errors in {beyond} of {len(felt.cells)} "
        f"cells, where chance alone gives about {0.05 * len(felt.cells):.0f}.",
        f"Most sensitive: {worst.kind} of block {worst.block} in "
        f"{trial_label(figures, worst.format)} ({_milli(worst.divergence)}). Over all formats "
        f"{first} costs most; a recipe that mixes formats leaves such layers wider.",
        f"Added up over all cells: {order}.",
    )


def trial_label(figures: Figures, name: str) -> str:
    """The words of a format of the heat map."""
    plain, plus, _ = name.partition("+")
    return figures.facts(plain).label + (" with its inputs" if plus else "")


def _exact(figures: Figures) -> str:
    """The formats that hold most of the weights exactly, with their shares."""
    found = {h.format: h.exact for h in figures.histograms if h.data == "weights"}
    lossy = [name for name in found if name != "fp32"]
    best = sorted(lossy, key=lambda name: -found[name])[:3]
    return ", ".join(f"{found[name]:.1%} in {figures.facts(name).label}" for name in best)


def _sum(cells: Iterable[Cell]) -> float:
    return sum(cell.divergence for cell in cells)


def _milli(nats: float) -> str:
    return significant(nats * 1000, 2)


def _gap(figures: Figures, form: str) -> float:
    """By how many dB the weights' SNR is above the inputs', in the median layer."""
    return median(
        s.weight_db - s.input_db
        for s in figures.layers
        if s.format == form and s.weight_db is not None and s.input_db is not None
    )


def _change(db: float) -> str:
    return f"{minus(f'{db:+.1f}')} dB"


def _bits(value: float) -> str:
    return trimmed(f"{value:.3f}")


def _db(found: Snr | None) -> str:
    if found is None:
        return "(not measured)"
    return "all" if found.median_db is None else f"{found.median_db:.1f}"


def _gain(better: BlockPoint, worse: BlockPoint) -> str:
    return f"{better.snr_db - worse.snr_db:.1f}"


def _best(figures: Figures, data: str, low: float, high: float) -> tuple[str, float] | None:
    """The format with the highest SNR among those of ``low`` to ``high`` bits."""
    found = [
        (facts.label, known.median_db)
        for facts in figures.formats
        if low <= facts.bits <= high
        and (known := figures.snr_of(data, facts.name)) is not None
        and known.median_db is not None
    ]
    return max(found, key=lambda pair: pair[1], default=None)
