"""Our figures and other tools' in one table: a row per run and load, equal loads together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.plan import Plan
from loadtest.load_file import LOAD_NAME, LoadFile
from loadtest.load_point import LoadPoint
from loadtest.other_tools.foreign_run import ForeignFileError, ForeignRun
from loadtest.other_tools.reading import read_foreign

_LATENCIES = {"ttft_s": "TTFT", "tpot_s": "TPOT", "e2e_s": "end to end"}
_KEYS = ("p50", "p99")
UNTOLD = "-"
FAILED = "others' latencies are of requests that succeeded; in ours a failed one is infinitely late"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run at one load. ``figures`` are by column; times in ms, rates per second."""

    name: str
    load: str
    point: LoadPoint | None
    requests: int
    errors: int
    figures: Mapping[str, float] = field(default_factory=dict)


def show_loads(run: Path, plan: Plan, files: Sequence[Path]) -> str:
    """The table of what the plan's run measured, and of these result files.

    Raises:
        ForeignFileError: a file cannot be read, or there is nothing to show.
    """
    paths = [run / name / LOAD_NAME for name in plan.variants]
    ours = [LoadFile.model_validate_json(it.read_bytes()) for it in paths if it.is_file()]
    theirs = [read_foreign(path) for path in files]
    if not ours and not theirs:
        raise ForeignFileError(
            f"the plan {plan.name} has no load test yet, and no file is named: run `assay "
            "loadtest`, or name result files"
        )
    rows = [row for load in ours for row in rows_of_ours(load)]
    rows += [row for found in theirs for row in rows_of_theirs(found)]
    remarks = [f"{found.tool}: {it}" for found in theirs for it in found.remarks]
    return table(rows, [*remarks, *([FAILED] if theirs else [])])


def rows_of_ours(load: LoadFile) -> list[Row]:
    """A row per load point of a variant."""
    rows = []
    for level in load.levels:
        told = {
            f"{word} {key}": 1000 * found[key].value
            for name, word in _LATENCIES.items()
            for key in _KEYS
            if key in (found := getattr(level, name))
        }
        told["tok/s"] = level.output_tok_per_s.value
        told["req/s"] = level.request_per_s.value
        rows.append(
            Row(
                name=load.variant + (" (void)" if load.why_void else ""),
                load=level.point.label,
                point=level.point,
                requests=level.requests,
                errors=level.errors,
                figures=told,
            )
        )
    return rows


def rows_of_theirs(run: ForeignRun) -> list[Row]:
    """A row per load of another tool's run."""
    rows = []
    for cell in run.cells:
        told = {
            f"{word} {key}": 1000 * latency[key]
            for name, word in _LATENCIES.items()
            for key in _KEYS
            if key in (latency := cell.latencies.get(name, {}))
        }
        told |= {
            column: rate
            for column, rate in (("tok/s", cell.output_tok_per_s), ("req/s", cell.request_per_s))
            if rate is not None
        }
        rows.append(
            Row(
                name=" ".join(filter(None, [run.tool, run.version, run.model])),
                load=cell.load,
                point=cell.point,
                requests=cell.requests,
                errors=cell.errors,
                figures=told,
            )
        )
    return rows


def columns() -> list[str]:
    """The figures' columns, in order."""
    return [f"{word} {key}" for word in _LATENCIES.values() for key in _KEYS] + ["tok/s", "req/s"]


def _titles() -> list[str]:
    """The same with the unit of times."""
    return [f"{it} ms" if it.endswith(_KEYS) else it for it in columns()]


def table(rows: Sequence[Row], remarks: Iterable[str] = ()) -> str:
    """All rows as text, by load and then by name; times in ms."""
    ordered = sorted(rows, key=lambda row: _order(row))
    header = ["load", "measured by", "requests", "errors", *_titles()]
    cells = [header, *[_cells(row) for row in ordered]]
    widths = [max(len(line[place]) for line in cells) for place in range(len(header))]
    lines = [_line(line, widths) for line in cells]
    told = [f"* {remark}" for remark in dict.fromkeys(remarks)]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], *told])


def _order(row: Row) -> tuple[str, float, str, str]:
    kind, amount = ("~", 0.0) if row.point is None else (row.point.kind, row.point.amount)
    return kind, amount, row.load, row.name


def _cells(row: Row) -> list[str]:
    figures = [
        UNTOLD if (value := row.figures.get(column)) is None else f"{value:,.2f}"
        for column in columns()
    ]
    return [row.load, row.name, str(row.requests), str(row.errors), *figures]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    words = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    figures = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join([*words, *figures]).rstrip()
