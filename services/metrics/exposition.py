"""Prometheus' text format, handled as text: labelled, joined, and read for single values.

A scrape must not hold up the streams that the same event loop relays, so nothing is parsed that
can be passed on: vLLM alone tells a thousand lines.
"""

import re
from collections.abc import Collection, Iterable

_LABELLED = re.compile(r"^([a-zA-Z_:][\w:]*)\{", re.MULTILINE)
_BARE = re.compile(r"^([a-zA-Z_:][\w:]*)(?= )", re.MULTILINE)


def label_variant(exposition: str, variant: str) -> str:
    """The same exposition with the label ``variant`` on every sample."""
    mark = f'variant="{variant}"'
    return _BARE.sub(rf"\1{{{mark}}}", _LABELLED.sub(rf"\1{{{mark},", exposition))


def merge_expositions(expositions: Iterable[str]) -> bytes:
    """One exposition out of many; families of one name are joined, as the format demands.

    The header of a family is the one that came first.
    """
    headers: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for text in expositions:
        family, seen = "", set(headers)
        for line in text.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                family = line.split(" ", 3)[2]
                if family not in seen:
                    headers.setdefault(family, []).append(line)
            elif line and not line.startswith("#"):
                samples.setdefault(family, []).append(line)
    lines = [line for name, found in samples.items() for line in (*headers.get(name, ()), *found)]
    return "".join(f"{line}\n" for line in lines).encode()


def read_values(exposition: str, names: Collection[str]) -> dict[str, list[float]]:
    """The values of all samples of some names (on the wire); absent ones give no entry.

    Raises:
        ValueError: a sample has no number for a value.
    """
    found: dict[str, list[float]] = {}
    for line in exposition.splitlines():
        name = line[: line.find(" ")].partition("{")[0]
        if name in names:
            rest = line.rpartition("}")[2] if "{" in line else line[len(name) :]
            value, *_ = rest.split()
            found.setdefault(name, []).append(float(value))
    return found
