"""Has the client certified before and after a load test, and keeps what it was told."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from deploy.plan import Plan
from loadtest.certificate import (
    Certificate,
    Certified,
    certify,
    read_certificate,
    write_certificate,
)
from loadtest.legs import Ground
from loadtest.load_file import LOAD_NAME, LevelSummary, LoadFile
from loadtest.load_kinds import points_of
from loadtest.load_point import LoadPoint
from loadtest.null_server import TPOT_S, TTFT_S, Pace
from loadtest.processes import processes_of
from loadtest.prompts import PromptSource
from quantize.processors import usable_cpus

# Before a run, its own pace is not known yet.
USUAL_PACE = Pace(ttft_s=TTFT_S, gap_s=TPOT_S)


def certify_before(plan: Plan, prompts: PromptSource) -> tuple[Certified, ...]:
    """The client at the plan's load points, at a usual pace.

    Raises:
        LoadTestError: Locust or a request failed.
    """
    points = [point.certified_as for point in points_of(plan.load)]
    return _certify(plan, dict.fromkeys(points, USUAL_PACE), prompts)


def keep_certificate(
    ground: Ground,
    names: Sequence[str],
    measured: frozenset[str],
    before: tuple[Certified, ...],
    prompts: PromptSource,
) -> None:
    """Certify the client after the run, for what was measured now or has no certificate yet."""
    old = {name: read_certificate(ground.run / name) for name in names}
    new = [n for n in names if n in measured or (it := old[n]) is None or it.why_void]
    loads = [_stored_load(ground.run / name) for name in new]
    paces = fastest_paces([level for load in loads if load for level in load.levels])
    if not paces:
        return
    after = _certify(ground.plan, paces, prompts)
    for found in after:
        ground.say(found.words)
    for name in new:
        earlier = before if name in measured else ((it := old[name]) and it.before) or ()
        found_now = Certificate(before=earlier, after=after)
        write_certificate(ground.run / name, found_now)
    if why := Certificate(before=before, after=after).why_void:
        ground.say(f"the load test is void: {why}")


def _stored_load(folder: Path) -> LoadFile | None:
    path = folder / LOAD_NAME
    return LoadFile.model_validate_json(path.read_bytes()) if path.is_file() else None


def fastest_paces(levels: Sequence[LevelSummary]) -> dict[LoadPoint, Pace]:
    """The fastest that any variant answered at each load point, by medians."""
    paces: dict[LoadPoint, Pace] = {}
    for point in {level.point.certified_as for level in levels}:
        here = [it for it in levels if it.point.certified_as == point and _is_timed(it)]
        if here:
            quickest = min(here, key=lambda it: it.tpot_s["p50"].value * _chunk(it))
            paces[point] = Pace(
                ttft_s=min(it.ttft_s["p50"].value for it in here),
                gap_s=quickest.tpot_s["p50"].value * _chunk(quickest),
                tokens_per_event=_chunk(quickest),
            )
    return paces


def _is_timed(level: LevelSummary) -> bool:
    """Whether more than half of its requests succeeded, and it is known how fast."""
    return all("p50" in it and isfinite(it["p50"].value) for it in (level.ttft_s, level.tpot_s))


def _chunk(level: LevelSummary) -> int:
    return max(1, round(level.tokens_per_chunk or 1))


def _certify(
    plan: Plan, paces: Mapping[LoadPoint, Pace], prompts: PromptSource
) -> tuple[Certified, ...]:
    load = plan.load
    return certify(
        paces,
        prompts,
        prompt_tokens=round(load.prompt_tokens.average),
        output_tokens=round(load.output_tokens.average),
        processes=processes_of(plan.loads, usable_cpus()),
    )
