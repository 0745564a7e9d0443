"""``comparison.json``: the files of a run's variants, brought together and paired.

Reads what the earlier stages left, decides nothing. A variant whose load test or quality pass is
missing stays in the comparison without those figures; only the baseline's must be there.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR, source_model
from deploy.plan import Plan
from deploy.plan_sections import Objectives, Slo
from eval.answer_costs import HOUR_S, answer_cost
from eval.artifact_remarks import artifact_remarks
from eval.attribution import attribute, unquantized_sibling
from eval.divergence.compare_run import (
    Scored,
    attribute_divergence,
    compare_divergence,
    current_scores,
)
from eval.limits import read_rates, shape_in, with_distances
from eval.measured import ComparisonError, Measured, read_measured, read_repeat, speed_ratio
from eval.quality_ends import with_ends
from eval.right_answers import written_answers
from eval.schema import (
    ComparisonFile,
    LoadComparison,
    TaskComparison,
    VariantComparison,
)
from eval.task_ground import Ground, find_ground
from loadtest.failures import Stage, read_failures
from loadtest.intervals import Estimate
from loadtest.load_file import LevelSummary, LoadFigures
from loadtest.load_kinds import pick
from loadtest.load_point import LoadPoint
from loadtest.pairing import in_turns, noise, round_figures, settling
from loadtest.rate_search import SloFile
from loadtest.summary import goodput
from quantize.artifact.manifest import read_manifest
from quantize.artifact_paths import artifact_directory
from quantize.jobs.whole_file import write_whole
from services.variants import Variant

COMPARISON_NAME = "comparison.json"
# Without these there is nothing of a variant to compare; a later failure leaves what was measured.
UNSERVED: frozenset[Stage] = frozenset({"quantize", "deploy"})
LONGEST_LINE = 300
_LONE = "the baseline has no answers to compare with"


def compare_quality(
    mine: Measured, baseline: Measured, ground: Ground, compared: int
) -> tuple[dict[str, TaskComparison], dict[str, str]]:
    """All tasks of one variant, and why others are not compared, or were not asked to their end.

    ``compared`` variants are held against the baseline.
    """
    if mine.quality is None:
        return {}, {}
    failed = {task: f"it failed: {why}" for task, why in mine.quality.failed_tasks.items()}
    refused = {**mine.quality.refused_tasks, **failed}
    anytime, scores = mine.quality.anytime, mine.quality.tasks
    if mine is baseline:
        return {task: ground.alone(task, score) for task, score in scores.items()}, refused
    known = {task: score for task, score in scores.items() if task in ground.first}
    lone = {task: _LONE for task in scores if task not in known}
    found = {
        task: ground.compare(task, mine.samples[task], score, anytime=anytime)
        for task, score in known.items()
    }
    if anytime:
        found = with_ends(found, mine.quality, ground.objectives, compared)
    return found, {**refused, **lone}


def compare_level(
    level: LevelSummary, mine: Measured, baseline: Measured, objectives: Objectives
) -> LoadComparison:
    """One load point of one variant, with goodput, cost and the ratio to the baseline."""
    records = mine.records[level.point]
    good = goodput(records, objectives.slo)
    rounds = mine.rounds_at(level.point, objectives.slo)
    theirs = rounds if mine is baseline else baseline.rounds_at(level.point, objectives.slo)
    price = objectives.price_per_hour
    answers = answer_cost(level, price)
    return LoadComparison(
        **{name: getattr(level, name) for name in LoadFigures.model_fields},
        output_tok_per_s_ratio=speed_ratio(rounds, theirs, anytime=mine.anytime),
        goodput_per_s=good.per_s,
        goodput_share=good.share,
        cost_per_million_output_tokens=_cost_of_tokens(price, level.output_tok_per_s.value),
        cost_per_thousand_answers=None if answers is None else answers.price,
        rounds=tuple(rounds),
        paired=in_turns(rounds, theirs),
        anytime=mine.anytime,
        noise=noise(rounds, theirs, records),
        settling=None if level.point.changes else settling(records),
    )


def _cost_of_tokens(price_per_hour: float | None, tok_per_s: float) -> float | None:
    """The price of a million tokens; None without a price, or where none came."""
    if price_per_hour is None or tok_per_s <= 0:
        return None
    return price_per_hour / (tok_per_s * HOUR_S) * 1e6


def _stressed(
    level: LevelSummary, mine: Measured, baseline: Measured, objectives: Objectives
) -> LoadComparison | None:
    """One load that decides nothing; None where the baseline has no figure to compare it with."""
    theirs = [record for record in baseline.records.get(level.point, ()) if record.counted]
    if not theirs or not all(it.output_tok_per_s for it in round_figures(theirs, Slo(), {})):
        return None
    return compare_level(level, mine, baseline, objectives)


def compare_variant(
    variant: Variant,
    mine: Measured,
    baseline: Measured,
    ground: Ground,
    compared: int,
) -> VariantComparison:
    """Everything the verdict may use of one variant; ``compared`` of them are."""
    objectives = ground.objectives
    quality, refused = compare_quality(mine, baseline, ground, compared)
    searched = _searched(mine, objectives)
    levels, others = (mine.load.levels, mine.load.stress) if mine.load is not None else ([], [])
    stress = [_stressed(level, mine, baseline, objectives) for level in others]
    return VariantComparison(
        variant=variant.name,
        recipe=variant.recipe.name,
        engine=variant.engine.name,
        bits_per_weight=mine.manifest.bits_per_weight,
        artifact_bytes=mine.manifest.size_bytes,
        weight_bytes=mine.manifest.weight_bytes,
        held_weight_bytes=mine.load.endpoint.held_weight_bytes if mine.load else None,
        memory_bytes=mine.load.endpoint.memory_bytes if mine.load else None,
        quality=quality,
        answers=written_answers(mine, baseline, objectives),
        load=[
            compare_level(level, mine, baseline, objectives)
            for level in levels
            if level.point in baseline.records
        ],
        stress=[found for found in stress if found is not None],
        saturated_client=mine.load.saturated if mine.load else False,
        void=_void(mine),
        certificate=mine.certificate,
        slo_rate_per_s=searched.rate_per_s if searched else None,
        slo_trials=len(searched.trials) if searched else 0,
        refused_tasks=refused,
        remarks=[*artifact_remarks(mine.manifest), *_left_out(mine)],
        agreement=mine.agreement,
        kernels=mine.load.endpoint.kernels if mine.load else None,
        gpus={gpu.uuid: gpu.name for gpu in mine.load.endpoint.gpus} if mine.load else {},
        gpu_memory_bytes=mine.load.endpoint.gpu_memory_bytes if mine.load else None,
        idle_power_w=mine.load.idle_power_w if mine.load else None,
    )


def _searched(mine: Measured, objectives: Objectives) -> SloFile | None:
    """Its search for the highest rate, where it was for this SLO and of this artifact."""
    found = mine.slo
    if found is None or found.slo != objectives.slo:
        return None
    return found if found.artifact_sha256 == mine.manifest.content_sha256 else None


def _left_out(mine: Measured) -> list[str]:
    return [mine.load.left_out] if mine.load is not None and mine.load.left_out else []


def _void(mine: Measured) -> list[str]:
    """Why its speeds may not be used, but for a client that was saturated."""
    if mine.load is None:
        return []
    points = [level.point for level in mine.load.levels]
    added = mine.certificate.why_void_for(points) if mine.certificate else ""
    return [*mine.load.void, *([added] if added else [])]


def _why(failures: Mapping[Stage, str]) -> str:
    """All that failed of one variant, as one line: tools answer with the end of a log."""
    return "; ".join(f"{stage}: {_one_line(reason)}" for stage, reason in failures.items())


def _one_line(reason: str) -> str:
    """The first line and the last, which in a log holds the error."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    ends = lines if len(lines) < 2 else [lines[0], lines[-1]]
    return " … ".join(
        line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in ends
    )


def _attribution(
    plan: Plan,
    measured: Mapping[str, Measured],
    scores: Mapping[str, Scored],
    point: LoadPoint | None,
    silent: Collection[str],
) -> dict[str, dict[str, Estimate]]:
    """Shares of engine and recipe in differences, speeds and divergences."""
    confidence, names = plan.objectives.confidence, list(measured)
    shares = attribute(measured, plan.baseline, point, confidence, silent)
    siblings = {name: unquantized_sibling(name, plan.baseline, names) for name in names}
    apart = attribute_divergence(
        plan.baseline,
        scores,
        {name: plain for name, plain in siblings.items() if plain is not None},
        confidence,
    )
    both = [name for name in names if name in shares or name in apart]
    return {name: {**shares.get(name, {}), **apart.get(name, {})} for name in both}


def build_comparison(
    run_dir: Path, plan: Plan, *, artifacts: Path = ARTIFACTS_DIR
) -> ComparisonFile:
    """Pair every variant of the plan with the baseline, and keep it in ``comparison.json``.

    Raises:
        ComparisonError: the baseline failed, was not loaded or not questioned, a file is damaged,
            or files are not of one generation.
        ArtifactError: an artifact is missing.
    """
    model = source_model(plan)
    failures = {name: read_failures(run_dir, name) for name in plan.variants}
    variants = [v for v in plan.resolved_variants() if not failures[v.name].keys() & UNSERVED]
    if plan.baseline not in {variant.name for variant in variants}:
        raise ComparisonError(
            f"the baseline {plan.baseline} failed: {_why(failures[plan.baseline])}"
        )
    measured = {
        variant.name: read_measured(
            run_dir,
            variant.name,
            read_manifest(artifact_directory(artifacts, model, variant.recipe.name)),
            failures[variant.name],
        )
        for variant in variants
    }
    baseline = measured[plan.baseline]
    for missing, stage in ((baseline.load, "loadtest"), (baseline.quality, "eval")):
        if missing is None:
            why = _why(failures[plan.baseline])
            raise ComparisonError(
                f"the baseline {plan.baseline} has no figures of `make {stage}`"
                + (f": {why}" if why else "; run it")
            )
    assert baseline.quality is not None
    ground = find_ground(
        baseline.samples,
        read_repeat(run_dir, plan.baseline, baseline.quality) or {},
        baseline.quality.tasks,
        plan.objectives,
        anytime=baseline.quality.anytime,
    )
    others = len(plan.variants) - 1
    compared = [
        compare_variant(variant, measured[variant.name], baseline, ground, others)
        for variant in variants
    ]
    artifacts_now = {name: it.manifest.content_sha256 for name, it in measured.items()}
    confidence = plan.objectives.confidence
    scores = current_scores(run_dir, plan.baseline, artifacts_now)
    divergences = compare_divergence(run_dir, plan.baseline, scores, confidence)
    compared = [
        found.model_copy(update={"divergence": divergences.get(found.variant, {})})
        for found in compared
    ]
    rates, shape = read_rates(run_dir), shape_in(model.original)
    if rates is not None and shape is not None:
        compared = [
            with_distances(found, variant, measured[variant.name].manifest, shape, rates, plan.load)
            for found, variant in zip(compared, variants, strict=True)
        ]
    assert baseline.load is not None
    point = pick((level.point for level in baseline.load.levels), plan.objectives.load)
    result = ComparisonFile(
        run=run_dir.name,
        plan=plan.name,
        model=plan.model,
        baseline=plan.baseline,
        variants=compared,
        failed={name: _why(found) for name, found in failures.items() if found},
        attribution=_attribution(plan, measured, scores, point, ground.silent),
        device=rates,
    )
    write_whole(run_dir / COMPARISON_NAME, result.model_dump_json(indent=2))
    return result
