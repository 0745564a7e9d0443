"""What a table is made of. A cell is text for the eye and keeps its exact value beside it."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup

from eval.drawing.glyphs import Mark, icon
from eval.report import formats
from loadtest.intervals import Estimate
from loadtest.load_point import LoadPoint

_SYMBOL = {"good": "✓", "bad": "✗", "unsure": "?", "": ""}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: its text, a smaller second line, and the value by which its column sorts."""

    text: str
    value: float | str | None = None
    detail: str = ""
    tone: str = ""
    title: str = ""
    picture: Markup | None = None
    missing: bool = False

    @property
    def symbol(self) -> str:
        """The tone as a character, because colour alone tells nothing to many."""
        return _SYMBOL[self.tone]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's heading, with the unit or definition as a second line."""

    title: str
    note: str = ""
    numeric: bool = True


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant's row; ``key`` links it with its marks in the charts, ``anchor`` is its name
    for links of the page."""

    key: int | None
    cells: tuple[Cell, ...]
    chosen: bool = False
    anchor: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, ready to be written."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def table_of(columns: Iterable[Column], rows: Iterable[Row]) -> Table | None:
    """A table, None where it has no row."""
    found = tuple(rows)
    return Table(columns=tuple(columns), rows=found) if found else None


def load_row(
    name: str, point: LoadPoint, marks: dict[str, Mark], cells: Iterable[Cell], detail: str = ""
) -> Row:
    """A variant at one load: its name (with ``detail`` below), the load, and what was found."""
    load = Cell(text=point.short, value=point.amount)
    return Row(key=marks[name].key, cells=(name_cell(name, marks, detail), load, *cells))


def missing(why: str) -> Cell:
    """A cell for what was not measured, with the reason."""
    return Cell(text=formats.NOT_MEASURED, detail=why, missing=True)


def estimate_cell(
    found: Estimate, write: Callable[[float], str], *, detail: str = "", tone: str = ""
) -> Cell:
    """An estimate as its value, with the interval below it unless ``detail`` says more."""
    # The unit stands once, at the value; the interval repeats only the numbers.
    between = formats.interval(found, lambda bound: write(bound).partition(" ")[0])
    return Cell(
        text=write(found.value),
        # What reads it for sorting knows no infinity.
        value=min(found.value, sys.float_info.max),
        detail=detail or between,
        tone=tone,
        title=f"interval {between}" if between else "",
    )


def name_cell(name: str, marks: dict[str, Mark], detail: str = "") -> Cell:
    """The variant with its symbol."""
    picture = icon(marks[name]) if name in marks else None
    return Cell(text=name, value=name, detail=detail, picture=picture)
