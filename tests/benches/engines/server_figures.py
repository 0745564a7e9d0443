"""From outcomes to figures and a table: pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.benches.engines.server_rounds import Cell, Outcome
from tests.benches.harness.bench_figures import Figure
from tests.benches.harness.bench_table import columns

# Whoever serves a model with us should lose nothing by it, alone or among many.
SHARE = 1.0
RATIO = "x of the better peer"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One cell: every server's rounds in tokens per second, or the reason why there are none."""

    model: str
    cell: Cell
    rounds: dict[str, list[float]]
    faults: dict[str, str]


def rows(model: str, servers: Sequence[str], outcomes: Sequence[Outcome]) -> list[Row]:
    """The outcomes by cell; a server that failed once in a cell has no figure for it.

    A cell that was cut off before every server was asked once is none.
    """
    found = []
    for cell in dict.fromkeys(outcome.cell for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.cell == cell]
        if {outcome.server for outcome in mine} != set(servers):
            continue
        faults = {item.server: item.fault for item in mine if item.fault is not None}
        rounds = {
            server: [
                item.tok_per_s
                for item in mine
                if item.server == server and item.tok_per_s is not None
            ]
            for server in servers
            if server not in faults
        }
        found.append(Row(model=model, cell=cell, rounds=rounds, faults=faults))
    return found


def figure(row: Row, ours: str) -> Figure:
    """How many times as fast as the better peer we are; 0 without a figure of ours, or any peer's.

    The median over the rounds of the ratio within each: what the machine does otherwise from one
    round to the next does not count. The better peer is the one with the higher median.
    """
    ratios = _ratios(row, ours)
    value = median(ratios) if ratios else 0.0
    return Figure(
        name=f"{row.model} {row.cell.name}",
        value=value,
        unit=RATIO,
        limit=SHARE,
        met=value >= SHARE,
    )


def fastest_round(found: Sequence[Row]) -> float | None:
    """Tokens per second of the fastest round of any server; None where none has any."""
    values = [value for row in found for rounds in row.rounds.values() for value in rounds]
    return max(values, default=None)


def _ratios(row: Row, ours: str) -> list[float]:
    peers = [values for server, values in row.rounds.items() if server != ours]
    if not peers or ours not in row.rounds:
        return []
    better = max(peers, key=median)
    return [one / other for one, other in zip(row.rounds[ours], better, strict=False)]


def table(found: Sequence[Row], servers: Sequence[str]) -> str:
    """One line per cell: medians with lowest and highest round; a dash where a server failed."""
    head = ("tok/s: median (lowest-highest round)", *servers, "ratio", "limit", "")
    lines = []
    for row in found:
        made = figure(row, servers[0])
        spreads = [_spread(row.rounds.get(server), ",.0f") for server in servers]
        ratio, mark = _spread(_ratios(row, servers[0]), ".2f"), "" if made.met else "!"
        lines.append((made.name, *spreads, ratio, f"{SHARE:.2f}", mark))
    return columns(head, lines)


def _spread(values: Sequence[float] | None, form: str) -> str:
    if not values:
        return "–"
    middle, low, high = (
        format(value, form) for value in (median(values), min(values), max(values))
    )
    return f"{middle} ({low}-{high})"
