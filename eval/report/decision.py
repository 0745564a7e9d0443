"""The decision table: everything that the choice depends on, one row per variant."""

from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import Cell, Column, Row, Table, estimate_cell, missing, name_cell
from eval.report.tiles import TONE_OF
from eval.schema import Ranked, TaskComparison, VariantComparison
from loadtest.intervals import Estimate

_WORDS = {
    "equal_or_better": "within the margin",
    "worse": "worse",
    "undecided": "undecided",
    "no_signal": "no signal",
}


def decision_table(run: Run, marks: dict[str, Mark]) -> Table:
    """One row per variant, best first; sizes last, because they are also drawn."""
    priced = any(x.cost_per_million_output_tokens is not None for v in run.variants for x in v.load)
    columns = _columns(run, priced)
    rows = []
    for rank, name in enumerate(run.order, 1):
        variant = run.find(name)
        cells = [Cell(text=str(rank), value=rank), name_cell(name, marks, _beside(run, name))]
        cells.append(_passes(run.ranked(name)))
        if variant is None:
            why = "failed" if name in run.comparison.failed else "the run holds no results"
            cells += [missing(why)] * (len(columns) - len(cells))
        else:
            cells += [*_speed(run, variant, priced), *_quality(run, variant), *_sizes(variant)]
        key = marks[name].key if name in marks else None
        anchor = "" if key is None else f"v{key}"
        chosen = name == run.verdict.variant
        rows.append(Row(key=key, cells=tuple(cells), chosen=chosen, anchor=anchor))
    return Table(columns=columns, rows=tuple(rows))


def _columns(run: Run, priced: bool) -> tuple[Column, ...]:
    tasks = [Column(title=task, note=_task_note(metric)) for task, metric in run.tasks.items()]
    cost = [Column(title="Cost", note="per million tok")] if priced else []
    return (
        Column(title="#"),
        Column(title="Variant", numeric=False),
        Column(title="Passes", numeric=False),
        Column(title="Output tok/s"),
        Column(title="TTFT p50"),
        Column(title="TPOT p50"),
        *cost,
        *tasks,
        Column(title="Weights", note="on disk"),
        Column(title="Bits", note="per w."),
        Column(title="Memory", note="in use"),
    )


def _task_note(metric: str) -> str:
    return "accuracy" if metric == "accuracy" else "NLL, nats/token"


def _beside(run: Run, name: str) -> str:
    """Its engine, and what the verdict makes of it."""
    variant = run.find(name)
    return ", ".join(filter(None, ["" if variant is None else variant.engine, _part(run, name)]))


def _part(run: Run, name: str) -> str:
    """What the verdict makes of the variant, beside its rank."""
    parts = (
        (run.verdict.variant, "recommended"),
        (run.verdict.smallest_passing, "smallest that passes"),
        (run.verdict.fastest_passing, "fastest that passes"),
        (run.comparison.baseline, "baseline"),
    )
    return ", ".join(part for who, part in parts if who == name)


def _passes(ranked: Ranked | None) -> Cell:
    if ranked is None:
        return Cell(text="not ranked", value=3, missing=True)
    # The page says the reasons in full below the table; here stands what they are about.
    reasons = [*ranked.failed, *ranked.undecided]
    why = ", ".join(dict.fromkeys(reason.subject for reason in reasons))
    if ranked.failed:
        return Cell(text="fails", value=2, tone="bad", detail=why)
    if ranked.undecided or not ranked.passes:
        return Cell(text="undecided", value=1, tone="unsure", detail=why)
    return Cell(text="passes", value=0, tone="good")


def _speed(run: Run, variant: VariantComparison, priced: bool) -> list[Cell]:
    load = run.load_at(variant)
    if load is None:
        return [missing(run.why_no_load(variant))] * (4 if priced else 3)
    ratio = load.output_tok_per_s_ratio
    beside = f"{formats.ratio(ratio.value)} {formats.interval(ratio, lambda v: f'{v:.2f}')}"
    if variant.why_void:
        speed = estimate_cell(
            load.output_tok_per_s,
            formats.significant,
            detail="void, see below",
            tone="unsure",
        )
    else:
        detail = "" if run.is_baseline(variant) else beside.strip()
        speed = estimate_cell(load.output_tok_per_s, formats.significant, detail=detail)
    cells = [speed]
    cells += [_median(times) for times in (load.ttft_s, load.tpot_s)]
    if priced:
        cost = load.cost_per_million_output_tokens
        cells.append(
            missing("no price in the plan")
            if cost is None
            else Cell(text=formats.significant(cost), value=cost)
        )
    return cells


def _median(times: dict[str, Estimate]) -> Cell:
    if "p50" not in times:
        return missing("too few requests to certify")
    return estimate_cell(times["p50"], formats.seconds)


def _quality(run: Run, variant: VariantComparison) -> list[Cell]:
    cells = []
    for task in run.tasks:
        result = variant.quality.get(task)
        if result is None:
            cells.append(missing(run.why_no_quality(variant, task)))
        else:
            cells.append(_task(result))
    return cells


def _task(result: TaskComparison) -> Cell:
    score = formats.score(result.metric, result.score.value)
    if result.difference is None:
        return Cell(text=score, value=result.score.value, detail="reference")

    def write(value: float) -> str:
        return formats.difference(result.metric, value)

    change = f"{write(result.difference.value)} {formats.interval(result.difference, write)}"
    if result.verdict == "no_signal":
        change = _WORDS["no_signal"]
    return Cell(
        text=score,
        value=result.score.value,
        detail=change.strip(),
        tone=TONE_OF[result.verdict],
        title=_WORDS[result.verdict],
    )


def _sizes(variant: VariantComparison) -> list[Cell]:
    held = variant.gpu_memory_bytes
    memory = (
        missing("the engine reported none")
        if variant.memory_bytes is None
        else Cell(
            text=formats.size(variant.memory_bytes),
            value=variant.memory_bytes,
            detail="" if held is None else f"and {formats.size(held)} of the GPU",
        )
    )
    return [
        Cell(
            text=formats.size(variant.weight_bytes),
            value=variant.weight_bytes,
            title=f"the whole artifact: {formats.size(variant.artifact_bytes)}",
        ),
        Cell(text=f"{variant.bits_per_weight:.2f}", value=variant.bits_per_weight),
        memory,
    ]
