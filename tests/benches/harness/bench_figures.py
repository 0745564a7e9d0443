"""What every benchmark concludes: figures, each with what it is held against, and void cells."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from quantize.jobs.whole_file import write_whole
from quantize.root import ROOT

BENCH_DIR = ROOT / "results" / "bench"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of a benchmark: a value, and what it is held against.

    ``ratio`` is value / against, both in ``unit``; ``limit`` is the bound that decides ``met``,
    in the same unit unless the name says otherwise. None where nothing is compared or bounded.
    """

    name: str
    value: float
    unit: str
    against: float | None = None
    ratio: float | None = None
    limit: float | None = None
    met: bool | None = None


@dataclass(frozen=True, kw_only=True)
class VoidCell:
    """What was to be measured and could not be, and why."""

    cell: str
    reason: str


def at_most(
    name: str, value: float, unit: str, limit: float | None, against: float | None = None
) -> Figure:
    """A figure that must not exceed its limit (None: it is only told)."""
    met = None if limit is None else value <= limit
    return _figure(name, value, unit, limit, against, met)


def at_least(
    name: str, value: float, unit: str, limit: float | None, against: float | None = None
) -> Figure:
    """A figure that must reach its limit (None: it is only told)."""
    met = None if limit is None else value >= limit
    return _figure(name, value, unit, limit, against, met)


def _figure(
    name: str,
    value: float,
    unit: str,
    limit: float | None,
    against: float | None,
    met: bool | None,
) -> Figure:
    return Figure(
        name=name,
        value=value,
        unit=unit,
        against=against,
        ratio=value / against if against else None,
        limit=limit,
        met=met,
    )


def write_figures(
    path: Path,
    figures: Sequence[Figure],
    void: Sequence[VoidCell] = (),
    distributions: Sequence[str] = (),
    more: Mapping[str, object] | None = None,
) -> None:
    """Write figures and machine by a temporary name and a rename, and void cells where there are.

    ``distributions`` are installed packages whose versions matter; ``more`` is added beside.

    Raises:
        OSError: the directory cannot be written; a file that was there stays as it was.
    """
    environment: Mapping[str, object] = {
        "cpu_count": os.cpu_count(),
        "load_average_1min": os.getloadavg()[0],
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in distributions},
    }
    content = {
        "figures": [asdict(figure) for figure in figures],
        "environment": environment,
        **({"void": [asdict(cell) for cell in void]} if void else {}),
        **(more or {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content, indent=1) + "\n")
