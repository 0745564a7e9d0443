"""One round: the variants take turns at every load point, and what each brought is kept.

One Locust process goes through all of it, so that turns lie seconds apart. A leg that was disturbed
is measured once more at the round's end, when the machine is quiet again or after a while.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from deploy.plan import Plan
from loadtest.endpoint import EndpointError, ReadyHealth, as_endpoint, read_health
from loadtest.gpu_meter import GpuMeter
from loadtest.gpu_window import LEAST_S, GpuWindow
from loadtest.job import Job, Leg, LegEnd, LevelEnd
from loadtest.load_file import Endpoint, RoundFile
from loadtest.load_kinds import points_of
from loadtest.load_point import LoadPoint
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.merging import most_memory
from loadtest.neighbours import NeighbourWatch, watch_service
from loadtest.prompts import ATTEMPTS
from loadtest.records import RequestRecord, write_records
from loadtest.summary import counted, output_throughput, percentiles
from loadtest.target import Target, write_result
from loadtest.validity import why_void
from quantize.jobs.whole_file import writing
from quantize.validity.made_from import key_of

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
    """What all rounds of a load test share; ``prompts`` is a file, ``run`` the run's directory."""

    plan: Plan
    run: Path
    prompts: Path
    say: Say
    fail: Fail

    def job(self, number: int, legs: Sequence[Leg] = (), attempt: int = 0) -> Job:
        """What Locust is asked in round ``number``."""
        load = self.plan.load
        return Job(
            url=self.plan.serving.url,
            round=number,
            rounds=load.rounds,
            attempt=attempt,
            points=points_of(load),
            legs=tuple(legs),
            warmup_s=load.warmup_s,
            duration_s=load.duration_s,
            prompt_tokens=load.prompt_tokens,
            output_tokens=load.output_tokens,
            request_timeout_s=self.plan.serving.request_timeout_s,
            prompts=self.prompts,
        )


@dataclass(kw_only=True)
class Round:
    """One round of the variants that still need it; what was measured of each leg, and how."""

    ground: Ground
    number: int
    variants: Sequence[str]
    watch: NeighbourWatch | None
    levels: dict[Leg, LevelEnd] = field(default_factory=dict)
    records: dict[Leg, list[RequestRecord]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def measure(self) -> None:
        """All legs, and once more those that were disturbed."""
        load = self.ground.plan.load
        order = round_order(self.variants, seed=load.seed, number=self.number)
        points = points_of(load)
        self._run([Leg(variant=name, point=p) for p in points for name in order], 0)
        for attempt in range(1, ATTEMPTS):
            disturbed = [leg for leg in self.levels if self._why_void(leg) is not None]
            if disturbed:
                self._await_quiet()
                self._run([leg for leg in disturbed if leg.variant not in self.failed], attempt)

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
            lag_s = send_lag_p99_s(records)
            level = end.level.model_copy(update={"send_lag_p99_s": lag_s})
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
            )

    def fail(self, variant: str, reason: str) -> None:
        """Leave a variant out from now on."""
        self.failed.add(variant)
        self.ground.fail(variant, reason)

    def of(self, variant: str) -> tuple[list[LevelEnd], list[RequestRecord]]:
        """A variant's levels and records, by ascending load.

        Raises:
            LoadTestError: a level has no successful request, so there is nothing to compare.
        """
        legs = sorted((leg for leg in self.levels if leg.variant == variant), key=_amount)
        for leg in legs:
            _check(leg, self.records[leg])
        return [self.levels[leg] for leg in legs], [r for leg in legs for r in self.records[leg]]

    def _why_void(self, leg: Leg) -> str | None:
        return why_void(self.levels[leg], self.ground.plan.load.neighbour_limit)

    def _await_quiet(self) -> None:
        """Wait until other programs leave the machine alone, but not for ever."""
        limit, deadline = self.ground.plan.load.neighbour_limit, time.monotonic() + QUIET_WAIT_S
        while self.watch is not None and time.monotonic() < deadline:
            before = self.watch.look()
            time.sleep(QUIET_LOOK_S)
            if self.watch.share_since(before) <= limit:
                return

    def _progress(self, end: LegEnd, records: list[RequestRecord]) -> str:
        """One finished leg in one line."""
        label = f"{end.leg.point.label:<10}"
        rounds = self.ground.plan.load.rounds
        place = f"{end.leg.variant:<24} round {self.number + 1}/{rounds}  {label}"
        void = self._why_void(end.leg)
        return "  ".join([place, *_figures(records), *([f"VOID: {void}"] if void else [])])


def run_round(ground: Ground, targets: Mapping[str, Target], number: int) -> None:
    """Measure one round of these variants and keep it; one that fails keeps only its reason."""
    started_at, began = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
    before = _restarts(ground, targets)
    work = Round(
        ground=ground,
        number=number,
        variants=sorted(targets),
        watch=watch_service(ground.plan.serving),
    )
    with GpuMeter(_uuids(targets.values())) as meter:
        if number == 0:
            meter.wait_idle(LEAST_S)
        work.measure()
    seconds = (time.monotonic() - began) / len(targets)
    for name in sorted(targets.keys() - work.failed):
        try:
            levels, records = work.of(name)
            health = _same_health(ground, targets[name])
        except (LoadTestError, EndpointError) as error:
            work.fail(name, str(error))
            continue
        restarts = max(0, health.restarts - before.get(name, 0))
        result = RoundFile(
            inputs_sha256=key_of(targets[name].measured_from),
            made_from=dict(targets[name].measured_from),
            endpoint=_with_most_memory(targets[name].endpoint, as_endpoint(health)),
            started_at=started_at,
            seconds=seconds,
            locust_version=version("locust"),
            levels=[_stamped(level, restarts, meter, targets[name]) for level in levels],
            idle_gpus=_idle(work, meter, targets[name]),
        )
        path = targets[name].round_file(number, "parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_records(path, records)
        write_result(targets[name].round_file(number, "json"), result)


def _uuids(targets: Iterable[Target]) -> set[str]:
    return {gpu.uuid for target in targets for gpu in target.endpoint.gpus}


def _stamped(level: LevelEnd, restarts: int, meter: GpuMeter, target: Target) -> LevelEnd:
    """A level with what befell its engine, and what its GPUs did in the window."""
    assert level.opened_s is not None
    ended_s = level.opened_s + level.counted_s
    gpus = meter.windows(level.opened_s, ended_s, _uuids([target]))
    return level.model_copy(update={"restarts": restarts, "gpus": gpus})


def _idle(work: Round, meter: GpuMeter, target: Target) -> tuple[GpuWindow, ...]:
    """What its GPUs did before the round's first request; nothing of too short a time."""
    first_s = min(r.send_s for records in work.records.values() for r in records)
    if first_s - meter.began_s < LEAST_S:
        return ()
    return meter.windows(meter.began_s, first_s, _uuids([target]))


def _restarts(ground: Ground, targets: Mapping[str, Target]) -> dict[str, int]:
    """How often each engine was replaced until now; a variant that is away shows itself later."""
    found = {}
    for name in targets:
        try:
            found[name] = read_health(ground.plan.serving.url, name).restarts
        except EndpointError:
            continue
    return found


def _same_health(ground: Ground, target: Target) -> ReadyHealth:
    """The health after the round: memory is read again, as caches grow with the load.

    Raises:
        EndpointError: it is not ready.
        LoadTestError: another artifact or engine answers than before.
    """
    name = target.endpoint.variant
    after = read_health(ground.plan.serving.url, name)
    if (after.artifact_sha256, after.engine_version) != (
        target.endpoint.artifact_sha256,
        target.endpoint.engine_version,
    ):
        raise LoadTestError(f"{name}: was deployed anew during its load test; run it again")
    return after


def _with_most_memory(before: Endpoint, after: Endpoint) -> Endpoint:
    most = most_memory([before.memory_bytes, after.memory_bytes])
    most_held = max(before, after, key=lambda it: it.gpu_memory_bytes or 0)
    return after.model_copy(update={"memory_bytes": most, "gpus": most_held.gpus})


def _amount(leg: Leg) -> LoadPoint:
    return leg.point


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
