"""The tables of the load test beyond its curves: what decides nothing, what is told apart, gaps."""

import math
from collections.abc import Iterator

from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import (
    Cell,
    Column,
    Row,
    Table,
    estimate_cell,
    load_row,
    missing,
    name_cell,
    table_of,
)
from eval.schema import LoadComparison, VariantComparison
from loadtest.closed_loop import ClosedLoop
from loadtest.intervals import Estimate
from loadtest.sweep import saturation

_FEW = "too few requests to certify"


def _all_loads(run: Run) -> Iterator[tuple[VariantComparison, LoadComparison]]:
    """Every variant at every load, those that decide nothing last."""
    for variant in run.variants:
        for load in (*run.loads(variant), *run.stress(variant)):
            yield variant, load


def stress_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """The loads that decide nothing; None where the plan has none."""
    rows = []
    for variant in run.variants:
        for load in run.stress(variant):
            void = "; ".join(load.void)
            label = Cell(
                text=load.point.label, value=load.point.amount, detail=void and f"void: {void}"
            )
            cells = (
                name_cell(variant.variant, marks),
                label,
                *(_percentile(load.ttft_s, key) for key in ("p50", "p99")),
                *(_percentile(load.e2e_s, key) for key in ("p50", "p99")),
                estimate_cell(load.output_tok_per_s, formats.significant),
                _ratio(run, variant, load),
                _against_clean(variant, load),
                *_counts(load),
            )
            rows.append(Row(key=marks[variant.variant].key, cells=cells))
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Load", numeric=False),
        Column(title="TTFT p50"),
        Column(title="TTFT p99"),
        Column(title="End to end p50"),
        Column(title="End to end p99"),
        Column(title="Output tok/s"),
        Column(title="Throughput", note="against the baseline"),
        Column(title="TTFT p50", note="against as many streams alone"),
        Column(title="Requests"),
        Column(title="Errors"),
    )
    return table_of(columns, rows)


def _percentile(times: dict[str, Estimate], key: str) -> Cell:
    return estimate_cell(times[key], formats.seconds) if key in times else missing(_FEW)


def _counts(load: LoadComparison) -> tuple[Cell, Cell]:
    tone = "bad" if load.errors else ""
    return (
        Cell(text=f"{load.requests:,}", value=load.requests),
        Cell(text=str(load.errors), value=load.errors, tone=tone),
    )


def _ratio(run: Run, variant: VariantComparison, load: LoadComparison) -> Cell:
    if run.is_baseline(variant):
        return missing("the baseline itself")
    return estimate_cell(load.output_tok_per_s_ratio, formats.ratio)


def _against_clean(variant: VariantComparison, load: LoadComparison) -> Cell:
    """How many times as long as in a closed loop of as many streams, where that was measured."""
    clean = variant.load_at(ClosedLoop(load.point.amount))
    mine, theirs = load.ttft_s.get("p50"), clean.ttft_s.get("p50") if clean else None
    if load.point.certified_as != ClosedLoop(load.point.amount) or mine is None or theirs is None:
        return missing("not among the loads that are compared")
    if not (math.isfinite(mine.value) and math.isfinite(theirs.value)):
        return missing("half of the requests of one of them failed")
    times = mine.value / theirs.value
    return Cell(text=formats.ratio(times), value=times)


def parts_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """Loads of which parts are told apart: a ramp over time, sessions by turns; None without."""
    rows = [
        load_row(
            variant.variant,
            load.point,
            marks,
            (
                Cell(text=part.name, value=place),
                Cell(text=formats.significant(part.prompt_tokens), value=part.prompt_tokens),
                *(_median(value) for value in (part.ttft_p50_s, part.e2e_p50_s)),
                Cell(text=f"{part.requests:,}", value=part.requests),
                Cell(text=str(part.errors), value=part.errors, tone="bad" if part.errors else ""),
            ),
        )
        for variant, load in _all_loads(run)
        for place, part in enumerate(load.parts)
    ]
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Load", numeric=False),
        Column(title="Part", numeric=False),
        Column(title="Prompt", note="mean tokens"),
        Column(title="TTFT p50"),
        Column(title="End to end p50"),
        Column(title="Requests"),
        Column(title="Errors"),
    )
    return table_of(columns, rows)


def _median(seconds: float | None) -> Cell:
    if seconds is None:
        return missing("too few requests, or half of them failed")
    return Cell(text=formats.seconds(seconds), value=seconds)


def gaps_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """Gaps between chunks, stalls, and the first output after reasoning; None of older runs."""
    found = [(variant, load) for variant, load in _all_loads(run) if load.stalls is not None]
    thought = any(load.ttfo_s for _, load in found)
    rows = []
    for variant, load in found:
        assert load.stalls is not None
        stalled = load.stalls.requests
        cells = (
            *([_percentile(load.ttfo_s, "p50")] if thought else []),
            *(_percentile(load.gap_s, key) for key in ("p50", "p99", "p99.9")),
            Cell(text=formats.seconds(load.stalls.longest_s), value=load.stalls.longest_s),
            Cell(
                text=str(stalled),
                value=stalled,
                detail=f"of at least {formats.seconds(load.stalls.limit_s)}",
                tone="unsure" if stalled else "",
            ),
        )
        rows.append(load_row(variant.variant, load.point, marks, cells))
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Load", numeric=False),
        *([Column(title="TTFO p50", note="after reasoning")] if thought else []),
        Column(title="Gap p50"),
        Column(title="Gap p99"),
        Column(title="Gap p99.9"),
        Column(title="Longest gap"),
        Column(title="Stalled requests"),
    )
    return table_of(columns, rows)


def answers_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """How long answers are that end where the model ends; None where lengths were forced."""
    rows = []
    for variant, load in _all_loads(run):
        if load.answers is None:
            continue
        cost = load.cost_per_thousand_answers
        ended = load.answers.ended_share
        cells = (
            estimate_cell(load.answers.tokens, formats.significant),
            Cell(text=formats.percent(ended, 0), value=ended),
            missing("older run")
            if load.request_per_s is None
            else estimate_cell(load.request_per_s, formats.significant),
            missing("no price in the plan")
            if cost is None
            else Cell(text=formats.significant(cost), value=cost),
        )
        rows.append(load_row(variant.variant, load.point, marks, cells))
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Load", numeric=False),
        Column(title="Tokens per answer"),
        Column(title="Ended by the model"),
        Column(title="Answers", note="per second"),
        Column(title="Cost", note="per thousand answers"),
    )
    return table_of(columns, rows)


def saturation_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """Where each variant is saturated in a sweep; None where the load was none."""
    rows = []
    for variant in run.variants:
        steps = [load for load in run.loads(variant) if load.point.is_searched]
        if not steps:
            continue
        found = saturation([(it.point.amount, it.output_tok_per_s.value) for it in steps])
        load = next(it for it in steps if it.point.amount == found.streams)
        more = "" if found.reached else "more streams might bring more"
        cells = (
            name_cell(variant.variant, marks),
            Cell(text=f"{found.streams} streams", value=found.streams, detail=more),
            estimate_cell(load.output_tok_per_s, formats.significant),
            *(_percentile(times, "p50") for times in (load.ttft_s, load.tpot_s)),
        )
        rows.append(Row(key=marks[variant.variant].key, cells=cells))
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Saturated at"),
        Column(title="Output tok/s", note="there"),
        Column(title="TTFT p50", note="there"),
        Column(title="TPOT p50", note="there"),
    )
    return table_of(columns, rows)
