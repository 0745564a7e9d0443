"""Whether a deployment stayed as it was: memory, descriptors, threads, processes. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from loadtest.intervals import Estimate
from loadtest.stats import slope_of
from tests.benches.harness.bench_figures import Figure
from tests.benches.harness.bench_table import columns
from tests.benches.soak.processes import Sample
from tests.benches.soak.slopes import Growth, growth

MIB = 2**20
# What start-up leaves to be filled (caches, pools of threads, allocators' arenas).
WARM_UP_SHARE = 0.15
# A leak of 4 MiB an hour takes ten days to a gibibyte, and is below what allocators' steps let one
# tell in an hour; a large process is given a hundredth of its size instead.
LEAST_LIMIT_MIB_PER_H = 4.0
LIMIT_SHARE_PER_H = 0.01
# Connections of eight clients come and go between two samples, and a pool of threads grows late.
LEAST_MORE = 8
MORE_SHARE = 0.05
# A process counts as one of the deployment's own when it was there for most of the time.
LASTING_SHARE = 0.8
ALL = "all processes"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Steadiness:
    """One process over the time after the warm-up; memory in MiB, slopes in MiB an hour.

    ``descriptors`` and ``threads`` are medians of the first and of the last quarter.
    """

    role: str
    pid: int
    first_mib: float
    last_mib: float
    limit_mib_per_h: float
    pss: Estimate | None
    rss: Estimate | None
    descriptors: tuple[float, float]
    threads: tuple[float, float]

    @property
    def growth(self) -> Growth:
        """The worse of what PSS and RSS say; a series too short to tell proves nothing."""
        found = {growth(slope, self.limit_mib_per_h) for slope in (self.pss, self.rss)}
        return "grows" if "grows" in found else "flat" if found == {"flat"} else "not proven"

    @property
    def more(self) -> bool:
        """Whether descriptors or threads became more than chance explains."""
        pairs = (self.descriptors, self.threads)
        return any(last - first > max(LEAST_MORE, MORE_SHARE * first) for first, last in pairs)


def after_warm_up(samples: Iterable[Sample], length_s: float) -> list[Sample]:
    """What was sampled after the warm-up of a load of ``length_s``."""
    return [s for s in samples if WARM_UP_SHARE * length_s <= s.at_s <= length_s]


def lasting(samples: Sequence[Sample]) -> tuple[list[list[Sample]], list[list[Sample]]]:
    """Samples by process: those that were there most of the time, and those that were not."""
    groups: dict[tuple[int, float], list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.pid, sample.born].append(sample)
    moments = len({sample.at_s for sample in samples})
    stayed = [group for group in groups.values() if len(group) >= LASTING_SHARE * moments]
    passing = [group for group in groups.values() if len(group) < LASTING_SHARE * moments]
    return stayed, passing


def steadiness(group: Sequence[Sample]) -> Steadiness:
    """One process's series, assessed."""
    last = group[-1]
    hours = np.array([s.at_s for s in group]) / 3600
    pss = np.array([s.pss_bytes for s in group]) / MIB
    rss = np.array([s.rss_bytes for s in group]) / MIB
    return Steadiness(
        role=last.role,
        pid=last.pid,
        first_mib=_quarters(pss)[0],
        last_mib=_quarters(pss)[1],
        limit_mib_per_h=max(LEAST_LIMIT_MIB_PER_H, LIMIT_SHARE_PER_H * _quarters(pss)[0]),
        pss=slope_of(hours, pss),
        rss=slope_of(hours, rss),
        descriptors=_quarters(np.array([float(s.descriptors) for s in group])),
        threads=_quarters(np.array([float(s.threads) for s in group])),
    )


def together(samples: Sequence[Sample]) -> Steadiness:
    """The whole deployment as if it were one process."""
    moments: dict[float, list[Sample]] = defaultdict(list)
    for sample in samples:
        moments[sample.at_s].append(sample)
    return steadiness(
        [
            Sample(
                at_s=at_s,
                pid=0,
                born=0.0,
                role=ALL,
                pss_bytes=sum(s.pss_bytes for s in found),
                rss_bytes=sum(s.rss_bytes for s in found),
                descriptors=sum(s.descriptors for s in found),
                threads=sum(s.threads for s in found),
            )
            for at_s, found in sorted(moments.items())
        ]
    )


def _quarters(values: Floats) -> tuple[float, float]:
    """Medians of the first and of the last quarter."""
    size = max(1, len(values) // 4)
    return float(np.median(values[:size])), float(np.median(values[-size:]))


def memory_figures(rows: Sequence[Steadiness]) -> list[Figure]:
    """One figure per process and kind of memory.

    Of a single process the limit is missed where its whole interval lies beyond; all of them
    together must be proven flat, with the whole interval within.
    """
    figures = []
    for row in rows:
        for kind, slope in (("PSS", row.pss), ("RSS", row.rss)):
            if slope is not None:
                figures.append(
                    Figure(
                        name=f"{kind} slope, {row.role} ({row.pid})",
                        value=slope.value,
                        unit="MiB/h",
                        against=row.first_mib,
                        ratio=slope.value / row.first_mib if row.first_mib else None,
                        limit=row.limit_mib_per_h,
                        met=_holds(row.role, growth(slope, row.limit_mib_per_h)),
                    )
                )
    return figures


def _holds(role: str, growth: Growth) -> bool:
    return growth == "flat" if role == ALL else growth != "grows"


def count_figures(rows: Sequence[Steadiness]) -> list[Figure]:
    """Descriptors and threads of every process: last quarter against first."""
    figures = []
    for row in rows:
        for kind, (first, last) in (("descriptors", row.descriptors), ("threads", row.threads)):
            limit = first + max(LEAST_MORE, MORE_SHARE * first)
            figures.append(
                Figure(
                    name=f"{kind}, {row.role} ({row.pid})",
                    value=last,
                    unit="count",
                    against=first,
                    ratio=last / first if first else None,
                    limit=limit,
                    met=last <= limit,
                )
            )
    return figures


def passing_figure(passing: Sequence[Sequence[Sample]]) -> Figure:
    """Replicas and what they started must last: one that came or went was restarted."""
    lost = [group for group in passing if _serves(group[-1].role)]
    return Figure(
        name="processes of variants that came or went",
        value=len(lost),
        unit="count",
        limit=0,
        met=not lost,
    )


def _serves(role: str) -> bool:
    return role.startswith("ServeReplica") or ": " in role


def table(rows: Sequence[Steadiness]) -> str:
    """One line per process, the largest first."""
    head = ("process", "PSS MiB", "slope MiB/h", "limit", "RSS slope MiB/h", "fds", "threads", "")
    return columns(
        head,
        [
            (
                row.role,
                f"{row.first_mib:,.1f} > {row.last_mib:,.1f}",
                _slope(row.pss),
                f"{row.limit_mib_per_h:.1f}",
                _slope(row.rss),
                f"{row.descriptors[0]:.0f} > {row.descriptors[1]:.0f}",
                f"{row.threads[0]:.0f} > {row.threads[1]:.0f}",
                f"{row.growth}{' !' if row.more else ''}",
            )
            for row in sorted(rows, key=lambda row: -row.first_mib)
        ],
    )


def _slope(slope: Estimate | None) -> str:
    if slope is None:
        return "too few samples"
    return f"{slope.value:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}]"


def as_rows(rows: Sequence[Steadiness]) -> list[dict[str, object]]:
    """The same for the results file, intervals included."""
    return [{**asdict(row), "memory": row.growth} for row in rows]
