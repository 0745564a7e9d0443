"""What the variants used of the GPUs: energy, clocks and memory, one row per load point."""

from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import Cell, Column, Row, Table, estimate_cell, missing, name_cell
from eval.schema import LoadComparison, VariantComparison
from loadtest.load_file import GpuLoad


def gpu_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """None where no GPU was watched."""
    rows = [
        Row(
            key=marks[variant.variant].key,
            cells=(name_cell(variant.variant, marks, _card(variant)), *_cells(variant, load, gpu)),
        )
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
    return Table(columns=columns, rows=tuple(rows)) if rows else None


def _card(variant: VariantComparison) -> str:
    """``2 × NVIDIA H100``."""
    names = sorted(set(variant.gpus.values()))
    count = f"{len(variant.gpus)} × " if len(variant.gpus) > 1 else ""
    return f"{count}{', '.join(names)}"


def _cells(variant: VariantComparison, load: LoadComparison, gpu: GpuLoad) -> tuple[Cell, ...]:
    energy, idle, held = (
        gpu.joules_per_output_token,
        variant.idle_power_w,
        variant.gpu_memory_bytes,
    )
    return (
        Cell(text=load.point.short, value=load.point.amount),
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
