"""The benchmarks' tables on the terminal. Pure."""

from collections.abc import Iterable, Sequence

from tests.benches.harness.bench_figures import Figure

_GAP = "  "


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as wide as its words: the first column to the left, the others to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        _GAP.join(
            word.rjust(width) if place else word.ljust(width)
            for place, (word, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def figures_table(figures: Iterable[Figure]) -> str:
    """One line per figure, with its limit and whether that is met."""
    return columns(
        ("figure", "value", "unit", "against", "limit", ""),
        [
            (
                figure.name,
                number(figure.value),
                figure.unit,
                number(figure.against),
                number(figure.limit),
                "" if figure.met is None else "met" if figure.met else "NOT MET",
            )
            for figure in figures
        ],
    )


def number(value: float | None) -> str:
    """A value in five digits; a dash where there is none."""
    return "–" if value is None else f"{value:,.5g}"
