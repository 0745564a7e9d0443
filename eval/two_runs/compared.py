"""Two runs side by side: every figure that both have, judged together, and what else differs."""

from collections.abc import Collection, Iterator
from typing import Any

from eval.schema import LoadComparison, VariantComparison
from eval.two_runs import figures
from eval.two_runs.change_file import Change, ChangeFile, RunName
from eval.two_runs.change_words import sentence
from eval.two_runs.judged import VOID, is_tested, judge_changes, outcome_of
from eval.two_runs.kept_run import KeptRun, KeptRunError
from eval.two_runs.quality_figures import quality_change
from eval.two_runs.settings import differences, same_seed, why_other_work
from eval.verdict_words import is_emulated
from loadtest.load_kinds import pick
from loadtest.pairing import is_steady

_MACHINE = ("cpu", "gpu", "cores")
_NOT_NOW = "not measured now"


def compare_runs(
    before: KeptRun, after: KeptRun, *, tolerance: float = figures.TOLERANCE
) -> ChangeFile:
    """What changed from one run to the other, and whether it is real.

    ``tolerance``: by how much speeds may differ from one session to the next.

    Raises:
        KeptRunError: the runs have no variant in common.
    """
    names = [v.variant for v in after.comparison.variants if before.variant(v.variant)]
    if not names:
        raise KeptRunError(f"{before.folder.name} and {after.folder.name} share no variant")
    found = [change for name in names for change in _variant(before, after, name, tolerance)]
    judged = judge_changes(found, after.confidence)
    lost = _lost(before, after)
    told = ChangeFile(
        before=_name(before),
        after=_name(after),
        outcome=outcome_of(judged, lost),
        sentence="",
        confidence=after.confidence,
        tests=sum(is_tested(change) for change in judged),
        tolerance=tolerance,
        changes=judged,
        settings=differences(before, after, names),
        left_out=_left_out(before, after),
        lost=lost,
        caveats=_caveats(before, after),
    )
    return told.model_copy(update={"sentence": sentence(told)})


def _name(run: KeptRun) -> RunName:
    verdict = run.verdict
    return RunName(
        run=run.folder.name,
        date=run.environment.get("date"),
        git_revision=run.environment.get("git_revision"),
        outcome=verdict.outcome,
        variant=verdict.variant,
        sentence=verdict.sentence,
    )


def _variant(before: KeptRun, after: KeptRun, name: str, tolerance: float) -> Iterator[Change]:
    now, then = after.variant(name), before.variant(name)
    assert now is not None
    assert then is not None
    yield from _quality(before, after, now, then)
    yield from _speeds(before, after, now, then, tolerance)
    for metric in ("weight_bytes", "memory_bytes"):
        found = figures.size_change(now, then, metric, tolerance)
        if found is not None:
            yield found


def _quality(
    before: KeptRun, after: KeptRun, now: VariantComparison, then: VariantComparison
) -> Iterator[Change]:
    samples = after.samples(now.variant), before.samples(now.variant)
    asked_otherwise = why_other_work(before, after, "quality")
    for task, result in now.quality.items():
        if task not in then.quality:
            continue
        told = quality_change(
            now.variant,
            task,
            (result, then.quality[task]),
            (samples[0].get(task, []), samples[1].get(task, [])),
            after.confidence,
        )
        why = asked_otherwise
        if not told.paired and not all(task in side for side in samples):
            why = why or "the answers of one run were not kept"
        elif not told.paired and same_seed(before, after):
            why = why or "its questions are others than before, though the seed is the same"
        yield told.model_copy(update={"p_value": None, "why": why}) if why else told


def _speeds(
    before: KeptRun,
    after: KeptRun,
    now: VariantComparison,
    then: VariantComparison,
    tolerance: float,
) -> Iterator[Change]:
    other_work = why_other_work(before, after, "load")
    latencies_at = _point(after)
    for level in now.load:
        earlier = then.load_at(level.point)
        if earlier is None:
            continue
        levels = level, earlier
        why = other_work or _why_void((now, level), (then, earlier))
        found = figures.throughput_change(now.variant, levels, tolerance, why)
        if found is not None:
            yield found
        if level.point == latencies_at:
            yield from _latencies(now.variant, levels, tolerance, why)


def _latencies(
    variant: str, levels: tuple[LoadComparison, LoadComparison], tolerance: float, why: str
) -> Iterator[Change]:
    metrics: tuple[tuple[Any, str], ...] = (("ttft_p50_s", "ttft_s"), ("tpot_p50_s", "tpot_s"))
    for metric, name in metrics:
        medians = tuple(getattr(level, name).get("p50") for level in levels)
        found = figures.latency_change(
            variant, metric, levels, (medians[0], medians[1]), tolerance, why
        )
        if found is not None:
            yield found


def _why_void(*sides: tuple[VariantComparison, LoadComparison]) -> str:
    """Why a speed of either run may not be used."""
    for (variant, level), when in zip(sides, ("now", "before"), strict=True):
        if is_emulated(variant):
            return "emulated, so its speed says nothing"
        if variant.why_void:
            return f"{VOID} {when}: {variant.why_void}"
        if not is_steady(level.settling):
            return f"{VOID} {when}: not steady at {level.point.label}"
    return ""


def _point(run: KeptRun) -> Any:
    """The load at which the verdict compares."""
    wanted = (run.plan.get("objectives") or {}).get("load")
    return pick([it.point for v in run.comparison.variants for it in v.load], wanted)


def _lost(before: KeptRun, after: KeptRun) -> dict[str, str]:
    """What was measured before, is asked for still and lacks a whole figure now: by name, why."""
    failed = after.comparison.failed
    found = {}
    for then in before.comparison.variants:
        now = after.variant(then.variant)
        if now is None:
            if then.variant in failed:
                found[then.variant] = failed[then.variant]
            continue
        why = failed.get(then.variant, _NOT_NOW)
        whole = now.quality.keys() - now.refused_tasks.keys()
        for task in _asked_still(after, then.quality, whole):
            found[f"{then.variant}, {task}"] = now.refused_tasks.get(task, why)
        for point in (level.point for level in then.load if now.load_at(level.point) is None):
            if not now.load or any(it.load_at(point) for it in after.comparison.variants):
                found[f"{then.variant}, {point.label}"] = why
    return found


def _asked_still(after: KeptRun, then: Collection[str], now: Collection[str]) -> list[str]:
    """The tasks without an answer now that the plan names, or some other variant answered."""
    asked = set((after.plan.get("quality") or {}).get("tasks") or ())
    asked.update(task for it in after.comparison.variants for task in it.quality)
    return [task for task in then if task not in now and task in asked]


def _left_out(before: KeptRun, after: KeptRun) -> dict[str, str]:
    names = [[v.variant for v in run.comparison.variants] for run in (before, after)]
    gone = {name: _NOT_NOW for name in names[0] if name not in names[1]}
    new = {name: "not measured before" for name in names[1] if name not in names[0]}
    failed = {**before.comparison.failed, **after.comparison.failed}
    return {
        name: f"{why}: {failed[name]}" if name in failed else why
        for name, why in {**gone, **new}.items()
    }


def _caveats(before: KeptRun, after: KeptRun) -> list[str]:
    found = []
    machines = [[run.environment.get(key) for key in _MACHINE] for run in (before, after)]
    if machines[0] != machines[1]:
        found.append("The machines differ: speeds compare machines and not only software.")
    if before.comparison.baseline != after.comparison.baseline:
        found.append(
            f"The baseline is {after.comparison.baseline}, it was {before.comparison.baseline}."
        )
    if before.comparison.model != after.comparison.model:
        found.append(f"The model is {after.comparison.model}, it was {before.comparison.model}.")
    if before.verdict.sentence != after.verdict.sentence:
        found.append(f"The verdict was: {before.verdict.sentence} Now: {after.verdict.sentence}")
    return found
