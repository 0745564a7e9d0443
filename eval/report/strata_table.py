"""Where each variant loses: a row for every part of every task, a column for every variant."""

from collections.abc import Sequence

from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import Cell, Column, Row, Table, estimate_cell, missing
from eval.schema import Stratum, VariantComparison


def strata_table(run: Run) -> Table | None:
    """Differences to the baseline by part; None where no task has parts."""
    baseline = run.find(run.comparison.baseline)
    if baseline is None:
        return None
    others = [v for v in run.variants if not run.is_baseline(v)]
    rows = [
        Row(key=None, cells=_cells(task, part, found, result.metric, others))
        for task, result in baseline.quality.items()
        for part, found in result.strata.items()
    ]
    if not rows:
        return None
    columns = (
        Column(title="Part", numeric=False),
        Column(title="Items"),
        Column(title=baseline.variant, note="the baseline's score"),
        *(Column(title=v.variant, note="difference") for v in others),
    )
    return Table(columns=columns, rows=tuple(rows))


def _cells(
    task: str, part: str, found: Stratum, metric: str, others: Sequence[VariantComparison]
) -> tuple[Cell, ...]:
    return (
        Cell(text=part, value=f"{task} {part}", detail=task),
        Cell(text=f"{found.items:,}", value=found.items),
        Cell(text=formats.score(metric, found.score.value), value=found.score.value),
        *(_difference(v, task, part, metric) for v in others),
    )


def _difference(variant: VariantComparison, task: str, part: str, metric: str) -> Cell:
    result = variant.quality.get(task)
    found = None if result is None else result.strata.get(part)
    if found is None or found.difference is None:
        return missing("not asked")
    worse = found.difference.bounds is not None and not found.difference.covers(0)
    loss = (found.difference.value < 0) == (metric == "accuracy")
    tone = ("bad" if loss else "good") if worse else ""
    return estimate_cell(found.difference, lambda v: formats.difference(metric, v), tone=tone)
