"""The authored tables: one fact a line, its columns named in the first."""

import csv
from functools import cache
from pathlib import Path
from random import Random

TABLES = Path(__file__).parent / "tables"

Row = dict[str, str]


@cache
def read_table(name: str) -> tuple[Row, ...]:
    """The rows of ``tables/<name>.tsv``; every cell is filled."""
    with (TABLES / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        rows = tuple(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert all(all(row.values()) for row in rows), name
    return rows


def column(name: str, of: str) -> list[str]:
    """The different values of a column, in the table's order."""
    return list(dict.fromkeys(row[of] for row in read_table(name)))


def names(rng: Random, count: int) -> list[str]:
    """Different people's first names."""
    return rng.sample(column("names", "name"), count)
