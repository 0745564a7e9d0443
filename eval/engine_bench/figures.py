"""From outcomes to figures and a table: pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from eval.engine_bench.measure import Cell, Outcome
from quantize.bench_figures import Figure

# One stream alone may cost a twentieth for what a server of many streams does more; from
# ``MANY`` streams on, batching must at least make up for it.
SHARE_ALONE, SHARE_MANY, MANY = 0.95, 1.0, 8


@dataclass(frozen=True, kw_only=True)
class Row:
    """One cell: every server's rounds in tokens per second, or the reason why there are none."""

    model: str
    cell: Cell
    rounds: dict[str, list[float]]
    faults: dict[str, str]


def rows(model: str, servers: Sequence[str], outcomes: Sequence[Outcome]) -> list[Row]:
    """The outcomes by cell; a server that failed once in a cell has no figure for it."""
    found = []
    for cell in dict.fromkeys(outcome.cell for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.cell == cell]
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
    """Our median against the better peer's; without ours, or any peer's, the limit is missed."""
    share = SHARE_MANY if row.cell.concurrency >= MANY else SHARE_ALONE
    value = median(row.rounds[ours]) if ours in row.rounds else 0.0
    peers = [median(values) for server, values in row.rounds.items() if server != ours]
    best = max(peers, default=None)
    return Figure(
        name=f"{row.model} {row.cell.name}",
        value=value,
        unit="tok/s",
        against=best,
        ratio=None if best is None else value / best,
        limit=None if best is None else share * best,
        met=best is not None and ours in row.rounds and value >= share * best,
    )


def table(found: Sequence[Row], servers: Sequence[str]) -> list[str]:
    """One line per cell: medians with the lowest and highest round, and what failed."""
    head = f"{'tok/s: median (lowest-highest round)':<38}"
    lines = [head + "".join(f"{server:>24}" for server in servers) + f"{'ratio':>8}{'limit':>7}"]
    for row in found:
        made = figure(row, servers[0])
        share = SHARE_MANY if row.cell.concurrency >= MANY else SHARE_ALONE
        lines.append(
            f"{made.name:<38}"
            + "".join(f"{_spread(row, server):>24}" for server in servers)
            + (f"{made.ratio:>8.2f}" if made.ratio is not None else f"{'-':>8}")
            + f"{share:>7.2f}"
            + ("" if made.met else "  !")
        )
    for model, cell, server, fault in dict.fromkeys(
        (row.model, row.cell.name, server, fault)
        for row in found
        for server, fault in row.faults.items()
    ):
        lines.append(f"{model} {cell}: {server} has no figure: {fault}")
    return lines


def _spread(row: Row, server: str) -> str:
    values = row.rounds.get(server)
    if not values:
        return "-"
    return f"{median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})"
