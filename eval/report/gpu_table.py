"""What the variants used of the GPUs, and how far they are from what those could do at most.

One row per load point in both tables.
"""

from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import Cell, Column, Table, estimate_cell, load_row, missing, table_of
from eval.schema import Distance, VariantComparison
from loadtest.load_file import GpuLoad


def gpu_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """None where no GPU was watched."""
    rows = [
        load_row(variant.variant, load.point, marks, _cells(variant, gpu), detail=_card(variant))
        for variant in run.variants
        for load in run.loads(variant)
        if (gpu := load.gpu) is not None
    ]
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Load"),
        Column(title="Energy", note="J per output token"),
        Column(title="Power", note="W, idle below"),
        Column(title="Clock", note="MHz, lowest below"),
        Column(title="Held down", note="share of the time", numeric=False),
        Column(title="GPU memory", note="held by the engine"),
    )
    return table_of(columns, rows)


def _card(variant: VariantComparison) -> str:
    """``2 × NVIDIA H100``."""
    names = sorted(set(variant.gpus.values()))
    count = f"{len(variant.gpus)} × " if len(variant.gpus) > 1 else ""
    return f"{count}{', '.join(names)}"


def _cells(variant: VariantComparison, gpu: GpuLoad) -> tuple[Cell, ...]:
    energy, idle, held = (
        gpu.joules_per_output_token,
        variant.idle_power_w,
        variant.gpu_memory_bytes,
    )
    return (
        missing("no energy counter, or too short a window")
        if energy is None
        else estimate_cell(energy, formats.significant),
        Cell(
            text=formats.significant(gpu.power_w),
            value=gpu.power_w,
            detail="" if idle is None else f"{formats.significant(idle)} idle",
        ),
        _clock(gpu),
        _held_down(gpu),
        missing("not told of its processes")
        if held is None
        else Cell(text=formats.size(held), value=held),
    )


def _clock(gpu: GpuLoad) -> Cell:
    if gpu.sm_clock_mhz is None:
        return missing("not told")
    lowest = gpu.least_sm_clock_mhz
    return Cell(
        text=f"{gpu.sm_clock_mhz:,.0f}",
        value=gpu.sm_clock_mhz,
        detail="" if lowest is None else f"{lowest:,.0f}",
    )


def _held_down(gpu: GpuLoad) -> Cell:
    """Why its clocks were lower than they could be."""
    parts = [f"{reason} {formats.percent(share, 0)}" for reason, share in gpu.throttled.items()]
    return Cell(text=", ".join(parts) or "never", value=max(gpu.throttled.values(), default=0.0))


def distance_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """None where the card was not measured."""
    rows = [
        load_row(variant.variant, load.point, marks, _distances(found))
        for variant in run.variants
        for load in run.loads(variant)
        if (found := load.distance) is not None
    ]
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Load"),
        Column(title="Of the limit", note="decoding"),
        Column(title="Decode tok/s", note="limit below"),
        Column(title="Read", note="bytes per token"),
        Column(title="Of the limit", note="prompt"),
        Column(title="Prefill tok/s", note="limit below"),
    )
    return table_of(columns, rows)


def _distances(found: Distance) -> tuple[Cell, ...]:
    share, speed, limit = (
        found.prefill_share,
        found.prefill_tok_per_s,
        found.prefill_limit_tok_per_s,
    )
    prompt: tuple[Cell, ...] = (missing("told at one stream, where the rate is known"),) * 2
    if share is not None and speed is not None and limit is not None:
        by = f"by {found.prefill_bound}, {found.multiplied_as}"
        prompt = (_share(share, by), _speed(speed, limit))
    return (
        _share(found.decode_share, f"by {found.decode_bound}"),
        _speed(found.decode_tok_per_s, found.decode_limit_tok_per_s),
        Cell(text=formats.size(found.bytes_per_token), value=found.bytes_per_token),
        *prompt,
    )


def _share(share: float, by: str) -> Cell:
    return Cell(text=formats.percent(share, 0), value=share, detail=by)


def _speed(speed: float, limit: float) -> Cell:
    return Cell(
        text=formats.significant(speed), value=speed, detail=f"of {formats.significant(limit)}"
    )


def card_words(run: Run) -> str:
    """What was measured of the card: ``NVIDIA H200: reads 4.40 TB/s, multiplies …``."""
    rates = run.comparison.device
    if rates is None:
        return ""
    products = ", ".join(
        f"{kind} {formats.significant(rate / 1e12)} TFLOP/s"
        for kind, rate in rates.matrix_flop_per_s.items()
    )
    read = formats.significant(rates.read_bytes_per_s / 1e12)
    return f"{rates.name}: reads {read} TB/s, multiplies {products} (torch {rates.torch})"
