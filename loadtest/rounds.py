"""One round of the variants that need it: measured, stamped and kept, each on its own."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from loadtest.endpoint import (
    EndpointError,
    Health,
    as_endpoint,
    read_health,
    replaced,
    same_health,
)
from loadtest.gpu_meter import GpuMeter
from loadtest.gpu_window import LEAST_S, GpuWindow
from loadtest.job import LevelEnd
from loadtest.legs import Ground, Round
from loadtest.load_file import Endpoint, RoundFile
from loadtest.load_kinds import points_of
from loadtest.load_point import LoadPoint
from loadtest.locust_process import LoadTestError
from loadtest.merging import most_memory
from loadtest.neighbours import watch_service
from loadtest.records import write_records
from loadtest.server_meter import ServerMeter, read_metrics
from loadtest.target import Target, write_result
from quantize.validity.made_from import key_of


def run_round(
    ground: Ground,
    targets: Mapping[str, Target],
    number: int,
    points: Sequence[LoadPoint] | None = None,
) -> None:
    """Measure one round of these variants and keep it; one that fails keeps only its reason.

    ``points`` are those of the plan's load; None: all, or as many as a search goes through.
    """
    all_of_them = points_of(ground.plan.load)
    started_at, began = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
    before = _engines(ground, targets)
    url = ground.plan.serving.url
    server = ServerMeter(lambda variant: read_metrics(url, variant))
    work = Round(
        ground=ground,
        number=number,
        variants=sorted(targets),
        points=points or all_of_them,
        searches=points is None and all_of_them[0].is_searched,
        watch=watch_service(ground.plan.serving),
        meter=server,
    )
    with server, GpuMeter(_uuids(targets.values())) as meter:
        if number == 0:
            meter.wait_idle(LEAST_S)
        work.measure()
    seconds = (time.monotonic() - began) / len(targets)
    for name in sorted(targets.keys() - work.failed):
        try:
            levels, records = work.of(name)
            health = same_health(ground.plan.serving.url, targets[name].endpoint)
        except (LoadTestError, EndpointError) as error:
            work.fail(name, str(error))
            continue
        restarts = replaced(before.get(name), health)
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


def _engines(ground: Ground, targets: Mapping[str, Target]) -> dict[str, Health]:
    """The health of each engine before the round; a variant that is away shows itself later."""
    found: dict[str, Health] = {}
    for name in targets:
        try:
            found[name] = read_health(ground.plan.serving.url, name)
        except EndpointError:
            continue
    return found


def _with_most_memory(before: Endpoint, after: Endpoint) -> Endpoint:
    most = most_memory([before.memory_bytes, after.memory_bytes])
    most_held = max(before, after, key=lambda it: it.gpu_memory_bytes or 0)
    return after.model_copy(update={"memory_bytes": most, "gpus": most_held.gpus})
