"""The legs of a round: the variants take turns at every load point, once more where disturbed.

One Locust process goes through all of it, so that turns lie seconds apart. A leg that was disturbed
is measured once more at the round's end, if the machine becomes quiet again within a while.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deploy.plan import Plan
from loadtest.job import Job, Leg, LegEnd, LevelEnd
from loadtest.load_kinds import all_points
from loadtest.load_point import LoadPoint
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.neighbours import NeighbourWatch
from loadtest.processes import processes_of
from loadtest.prompts import ATTEMPTS
from loadtest.records import RequestRecord
from loadtest.server_meter import ServerMeter
from loadtest.server_window import ServerWindow
from loadtest.summary import counted, output_throughput, percentiles, token_rate
from loadtest.validity import why_void
from quantize.jobs.whole_file import writing
from quantize.processors import usable_cpus

# A disturbed leg waits so long for a quiet machine, looked at so often.
QUIET_WAIT_S, QUIET_LOOK_S = 20.0, 1.0

Say = Callable[[str], None]
Fail = Callable[[str, str], None]


def round_order(variants: Sequence[str], *, seed: int, number: int) -> list[str]:
    """The order of the variants in round ``number``: random of the seed, and reversed in the next.

    Two rounds are thus A B … B A: each variant has the same mean place in time, and what drifts in
    a straight line favours none.
    """
    order = random.Random(f"{seed}-{number // 2}").sample(list(variants), len(variants))
    return order[::-1] if number % 2 else order


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What all rounds of a load test share; ``prompts`` is a file, ``run`` the run's directory.

    ``series`` is how many load tests there were before.
    """

    plan: Plan
    run: Path
    prompts: Path
    say: Say
    fail: Fail
    series: int = 0

    def job(self, number: int, legs: Sequence[Leg] = (), attempt: int = 0) -> Job:
        """What Locust is asked in round ``number``."""
        return Job(
            url=self.plan.serving.url,
            round=number,
            rounds=self.plan.load.rounds,
            attempt=attempt,
            series=self.series,
            points=all_points(self.plan.loads),
            legs=tuple(legs),
            loads=self.plan.loads,
            request_timeout_s=self.plan.serving.request_timeout_s,
            prompts=self.prompts,
            processes=processes_of(self.plan.loads, usable_cpus()),
        )


@dataclass(kw_only=True)
class Round:
    """One round of the variants that still need it; what was measured of each leg, and how.

    ``points`` are those of the plan's load that are met; where it ``searches``, it may end before
    the last of them.
    """

    ground: Ground
    number: int
    variants: Sequence[str]
    points: Sequence[LoadPoint]
    watch: NeighbourWatch | None
    meter: ServerMeter | None = None
    searches: bool = False
    levels: dict[Leg, LevelEnd] = field(default_factory=dict)
    records: dict[Leg, list[RequestRecord]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def measure(self) -> None:
        """All legs, and once more those that were disturbed."""
        for points in self._stages():
            self._run(self._legs(points), 0)
        stress = [it for it in self.ground.plan.stress if self.number < it.rounds]
        if stress:
            self._run(self._legs(all_points(stress)), 0)
        for attempt in range(1, ATTEMPTS):
            disturbed = [leg for leg in self.levels if self._why_void(leg) is not None]
            if disturbed and self._is_quiet_again():
                self._run([leg for leg in disturbed if leg.variant not in self.failed], attempt)

    def _stages(self) -> Iterator[Sequence[LoadPoint]]:
        """The points of the plan's load, at once or as long as a search goes on for any variant."""
        if not self.searches:
            yield self.points
            return
        for place, point in enumerate(self.points):
            yield [point]
            measured = [self._rates(name, self.points[: place + 1]) for name in self._going()]
            if not any(point.goes_on(rates) for rates in measured):
                return

    def _going(self) -> list[str]:
        return [name for name in self.variants if name not in self.failed]

    def _rates(self, variant: str, points: Sequence[LoadPoint]) -> list[float]:
        """What a variant brought at each of these points, in tokens per second."""
        here = [self.records.get(Leg(variant=variant, point=point), []) for point in points]
        return [token_rate(counted(found)) if _any_counted(found) else 0.0 for found in here]

    def _legs(self, points: Sequence[LoadPoint]) -> list[Leg]:
        """The variants that are left, in the round's order, at each point."""
        order = round_order(self.variants, seed=self.ground.plan.load.seed, number=self.number)
        kept = [name for name in order if name not in self.failed]
        return [Leg(variant=name, point=point) for point in points for name in kept]

    def _run(self, legs: Sequence[Leg], attempt: int) -> None:
        """Run legs; where one breaks Locust, its variant fails and the others go on."""
        left = list(legs)
        while left:
            try:
                self._locust([*left], attempt, done=left.remove)
            except LoadTestError as error:
                self.fail(error.variant, str(error))
                left = [leg for leg in left if leg.variant not in self.failed]

    def _locust(self, legs: list[Leg], attempt: int, *, done: Callable[[Leg], None]) -> None:
        def keep(end: LegEnd, records: list[RequestRecord]) -> None:
            told = {"send_lag_p99_s": send_lag_p99_s(records), "server": self._server(end)}
            level = end.level.model_copy(update=told)
            self.levels[end.leg], self.records[end.leg] = level, records
            done(end.leg)
            self.ground.say(self._progress(end, records))

        with writing(self.ground.run / f"locust-round{self.number}.html") as html:
            run_locust(
                self.ground.job(self.number, legs, attempt),
                html=html,
                log=self.ground.run / f"locust-round{self.number}.log",
                on_leg=keep,
                watch=self.watch,
                on_turn=self.meter.watch if self.meter else lambda _: None,
            )

    def _server(self, end: LegEnd) -> ServerWindow | None:
        """What the variant told of itself while it was under load."""
        level = end.level
        if self.meter is None or level.opened_s is None:
            return None
        ended_s = level.opened_s + level.counted_s
        return self.meter.window(end.leg.variant, level.opened_s, ended_s)

    def fail(self, variant: str, reason: str) -> None:
        """Leave a variant out from now on."""
        self.failed.add(variant)
        self.ground.fail(variant, reason)

    def of(self, variant: str) -> tuple[list[LevelEnd], list[RequestRecord]]:
        """A variant's levels and records, in the order of the plan's points.

        Raises:
            LoadTestError: a level of the plan's load has no successful request, so there is
                nothing to compare.
        """
        order = all_points(self.ground.plan.loads)
        mine = (leg for leg in self.levels if leg.variant == variant)
        legs = sorted(mine, key=lambda leg: order.index(leg.point))
        for leg in legs:
            if leg.point.kind == self.ground.plan.load.kind:
                _check(leg, self.records[leg])
        return [self.levels[leg] for leg in legs], [r for leg in legs for r in self.records[leg]]

    def _why_void(self, leg: Leg) -> str | None:
        return why_void(self.levels[leg], self.ground.plan.load.neighbour_limit)

    def _is_quiet_again(self) -> bool:
        """Wait until other programs leave the machine alone; False where they do not in time.

        Beside the same neighbours a second try would only be void again.
        """
        limit, deadline = self.ground.plan.load.neighbour_limit, time.monotonic() + QUIET_WAIT_S
        while self.watch is not None:
            before = self.watch.look()
            time.sleep(QUIET_LOOK_S)
            if (share := self.watch.share_since(before)) <= limit:
                return True
            if time.monotonic() >= deadline:
                self.ground.say(
                    f"no second try: other programs still use {100 * share:.0f} % of the processors"
                )
                return False
        return True

    def _progress(self, end: LegEnd, records: list[RequestRecord]) -> str:
        """One finished leg in one line."""
        label = f"{end.leg.point.label:<10}"
        rounds = self.ground.plan.load.rounds
        place = f"{end.leg.variant:<24} round {self.number + 1}/{rounds}  {label}"
        void = self._why_void(end.leg)
        return "  ".join([place, *_figures(records), *([f"VOID: {void}"] if void else [])])


def _any_counted(records: Sequence[RequestRecord]) -> bool:
    return any(record.counted for record in records)


def _check(leg: Leg, records: Sequence[RequestRecord]) -> None:
    measured = [record for record in records if record.counted]
    if not any(record.error is None for record in measured):
        reason = measured[0].error if measured else "none was sent in the measuring window"
        raise LoadTestError(
            f"{leg.variant}: all {len(measured)} requests at {leg.point.place} failed: {reason}"
        )


def send_lag_p99_s(records: Sequence[RequestRecord]) -> float | None:
    """How late the latest percent of an open loop's requests was sent; None of a closed loop."""
    lags = [r.send_lag_s for r in records if r.counted and r.point.counts_from_due]
    return float(np.quantile(lags, 0.99, method="inverted_cdf")) if lags else None


def _figures(records: list[RequestRecord]) -> list[str]:
    """What a leg brought, in a few words."""
    if not any(record.counted for record in records):
        return ["no request counted"]
    kept = counted(records)
    errors = sum(record.error is not None for record in kept)
    medians = [
        f"{name} p50 {figures['p50'].value * 1000:.1f} ms"
        for name, figures in (
            ("TTFT", percentiles(kept, "ttft_s")),
            ("TPOT", percentiles(kept, "tpot_s")),
        )
        if figures
    ]
    figures = [f"{len(kept):5d} req", f"{output_throughput(kept).value:9.1f} tok/s", *medians]
    return [*figures, *([f"{errors} errors"] if errors else [])]
