"""Has the client certified before and after a load test, and keeps what it was told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from math import isfinite
from pathlib import Path
from statistics import median

from deploy.plan import Plan
from loadtest.certificate import (
    CERTIFICATE_NAME,
    Certificate,
    Certified,
    certify,
    read_certificate,
    write_certificate,
)
from loadtest.legs import Ground
from loadtest.load_file import LOAD_NAME, REQUESTS_NAME, LevelSummary, LoadFile
from loadtest.load_kinds import points_of
from loadtest.load_point import LoadPoint
from loadtest.null_server import TPOT_S, TTFT_S, Pace
from loadtest.processes import processes_of
from loadtest.prompts import PromptSource
from loadtest.records import RequestRecord, read_records
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
    """Certify the client after the run, for what was measured now or has no certificate yet.

    A load point at which no request of any variant was answered tells no pace, and is not among
    what is certified. What was measured now has no certificate of before.
    """
    old = {name: read_certificate(ground.run / name) for name in names}
    new = [n for n in names if n in measured or _lacks(old[n], ground.run / n)]
    for name in measured & {*names}:
        (ground.run / name / CERTIFICATE_NAME).unlink(missing_ok=True)
    paces = fastest_paces([it for name in new for it in _timed_levels(ground.run / name)])
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


def _lacks(old: Certificate | None, folder: Path) -> bool:
    """Whether a variant's certificate proves nothing, or not of all its load points."""
    return old is None or bool(old.why_void_for([it.point for it in _stored_levels(folder)]))


def _stored_levels(folder: Path) -> Sequence[LevelSummary]:
    """The levels of a variant whose load test is finished, else none."""
    path = folder / LOAD_NAME
    return LoadFile.model_validate_json(path.read_bytes()).levels if path.is_file() else ()


def _timed_levels(folder: Path) -> Iterable[tuple[LevelSummary, Pace]]:
    # Once, however many levels ask for them.
    return timed(_stored_levels(folder), cache(partial(read_records, folder / REQUESTS_NAME)))


def timed(
    levels: Iterable[LevelSummary], records: Callable[[], Sequence[RequestRecord]]
) -> Iterable[tuple[LevelSummary, Pace]]:
    """The levels with the pace of each, by medians; without those that no request tells any of.

    Where half of the requests failed, or too few were sent, those that were answered tell it.
    """
    for level in levels:
        if _is_timed(level):
            gap_s = level.tpot_s["p50"].value * _chunk(level)
            ttft_s = level.ttft_s["p50"].value
            yield level, Pace(ttft_s=ttft_s, gap_s=gap_s, tokens_per_event=_chunk(level))
        elif (pace := _pace_of_answers(level, records())) is not None:
            yield level, pace


def _pace_of_answers(level: LevelSummary, records: Sequence[RequestRecord]) -> Pace | None:
    """The pace of what was answered; at a usual gap where no answer had two tokens."""
    good = [r for r in records if r.point == level.point and r.counted and r.error is None]
    ttfts_s = [r.ttft_s for r in good if r.ttft_s is not None]
    gaps_s = [r.tpot_s * _chunk(level) for r in good if r.tpot_s is not None]
    if not ttfts_s:
        return None
    return Pace(
        ttft_s=median(ttfts_s),
        gap_s=median(gaps_s) if gaps_s else USUAL_PACE.gap_s,
        tokens_per_event=_chunk(level),
    )


def fastest_paces(levels: Iterable[tuple[LevelSummary, Pace]]) -> dict[LoadPoint, Pace]:
    """The fastest that any variant answered at each load point."""
    here: dict[LoadPoint, list[Pace]] = {}
    for level, pace in levels:
        here.setdefault(level.point.certified_as, []).append(pace)
    return {
        point: replace(
            min(paces, key=lambda it: it.gap_s), ttft_s=min(pace.ttft_s for pace in paces)
        )
        for point, paces in here.items()
    }


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
