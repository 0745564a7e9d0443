"""What the blocks say together: Serve against the direct child, round by round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from tests.benches.harness.bench_figures import Figure
from tests.benches.harness.bench_table import columns
from tests.benches.serving.block_load import Outcome

DIRECT, SERVE, GATEWAY = "direct", "serve", "gateway"
# The most that Serve may add: to TTFT alone and among sixteen, to TPOT, and to the throughput of
# sixty-four.
TTFT_ADDED_MS = 2.0
TPOT_RATIO = 1.01
TTFT_AT_16 = (2.0, 5.0)
THROUGHPUT_RATIO = 0.95


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One block: which engine by which way, at which concurrency, in which round."""

    engine: str
    way: str
    concurrency: int
    round: int
    outcome: Outcome

    @property
    def tok_per_s(self) -> float:
        """Tokens per second within the window."""
        return self.outcome.tokens / self.outcome.seconds

    def values(self) -> dict[str, float]:
        """The block's own figures."""
        told = {
            "ttft_ms": median(self.outcome.ttft_s) * 1000,
            "tpot_ms": median(self.outcome.tpot_s) * 1000,
            "tok_per_s": self.tok_per_s,
        }
        if self.outcome.lag_s:
            told["lag_p50_ms"], told["lag_p99_ms"] = np.percentile(self.outcome.lag_s, [50, 99])
            told["lag_p50_ms"] *= 1000
            told["lag_p99_ms"] *= 1000
        return {name: float(value) for name, value in told.items()}

    def row(self) -> dict[str, object]:
        """The block for the results file."""
        return {
            "engine": self.engine,
            "way": self.way,
            "concurrency": self.concurrency,
            "round": self.round,
            **self.values(),
        }


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float


# Every figure of every way.
Ways = Mapping[str, Mapping[str, Spread]]


def spread(values: Sequence[float]) -> Spread:
    """Median, least and most."""
    return Spread(median=median(values), low=min(values), high=max(values))


def by_way(measured: Sequence[Measured], engine: str, concurrency: int) -> Ways:
    """Every figure of every way at one level, over its rounds."""
    mine = [m for m in measured if (m.engine, m.concurrency) == (engine, concurrency)]
    ways = [way for way in (DIRECT, SERVE, GATEWAY) if any(m.way == way for m in mine)]
    found: dict[str, dict[str, Spread]] = {}
    for way in ways:
        rounds = [m.values() for m in mine if m.way == way]
        found[way] = {name: spread([r[name] for r in rounds]) for name in rounds[0]}
    return found


def figures_of(
    engine: str, concurrency: int, ways: Mapping[str, Mapping[str, Spread]]
) -> list[Figure]:
    """All figures of one level, each against the direct child's; limits where there are any."""
    figures = []
    direct = ways[DIRECT]
    for way in (way for way in ways if way != DIRECT):
        for name, told in ways[way].items():
            against = direct[name].median
            limit = _limit(name, concurrency, against) if way == SERVE else None
            met = None if limit is None else _meets(name, told.median, limit)
            figures.append(
                Figure(
                    name=f"{engine}_c{concurrency}_{way}_{name}",
                    value=told.median,
                    unit="tok/s" if name == "tok_per_s" else "ms",
                    against=against,
                    ratio=told.median / against if against else None,
                    limit=limit,
                    met=met,
                )
            )
    return figures


def _limit(name: str, concurrency: int, direct: float) -> float | None:
    """The bound of a figure, in its own unit; None where none is set."""
    match concurrency, name:
        case 1, "ttft_ms":
            return direct + TTFT_ADDED_MS
        case 1, "tpot_ms":
            return direct * TPOT_RATIO
        case 16, "ttft_ms":
            return direct * TTFT_AT_16[0] + TTFT_AT_16[1]
        case 64, "tok_per_s":
            return direct * THROUGHPUT_RATIO
    return None


def _meets(name: str, value: float, limit: float) -> bool:
    return value >= limit if name == "tok_per_s" else value <= limit


def table(engine: str, concurrency: int, ways: Ways) -> str:
    """One level: median (least to most) per way."""
    names = list(ways[DIRECT])
    rows = [
        (way, *(f"{told[n].median:.2f} ({told[n].low:.2f}–{told[n].high:.2f})" for n in names))
        for way, told in ways.items()
    ]
    return columns((f"{engine} c={concurrency}", *names), rows)
