"""``comparison.json``: the files of a run's variants, brought together and paired.

Reads what the earlier stages left, decides nothing. A variant whose load test or quality pass is
missing stays in the comparison without those figures; only the baseline's must be there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from deploy.artifacts import ARTIFACTS_DIR, source_model
from deploy.plan import Objectives, Plan
from eval.attribution import attribute
from eval.paired import compare_task, noise_floor
from eval.quality import pass_paths
from eval.samples import Sample, by_task, read_samples
from eval.schema import (
    ComparisonFile,
    Estimate,
    LoadComparison,
    QualityFile,
    TaskComparison,
    VariantComparison,
)
from loadtest.load_file import LOAD_NAME, REQUESTS_NAME, LevelSummary, LoadFile
from loadtest.records import RequestRecord, read_records
from loadtest.summary import goodput, throughput_ratio
from quantize.artifact_paths import artifact_directory
from quantize.manifest import Manifest, read_manifest
from services.variants import Variant

COMPARISON_NAME = "comparison.json"
Model = TypeVar("Model", bound=BaseModel)


class ComparisonError(ValueError):
    """A run that cannot be compared yet; the message says which stage to run."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Everything that one variant left in the run's directory; None or empty where missing."""

    manifest: Manifest
    quality: QualityFile | None
    samples: Mapping[str, Sequence[Sample]]
    load: LoadFile | None
    records: Mapping[int, Sequence[RequestRecord]]


def _read(model: type[Model], path: Path) -> Model | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ComparisonError(f"{path} is damaged ({error}); delete it and repeat") from None


def read_measured(run_dir: Path, variant: str, manifest: Manifest) -> Measured:
    """Read a variant's files.

    Raises:
        ComparisonError: a file is damaged.
    """
    scores, samples = pass_paths(run_dir, variant, repeat=False)
    quality = _read(QualityFile, scores)
    load = _read(LoadFile, run_dir / variant / LOAD_NAME)
    records = read_records(run_dir / variant / REQUESTS_NAME) if load is not None else []
    levels: dict[int, list[RequestRecord]] = {}
    for record in records:
        levels.setdefault(record.concurrency, []).append(record)
    return Measured(
        manifest=manifest,
        quality=quality,
        samples=by_task(read_samples(samples)) if quality is not None else {},
        load=load,
        records=levels,
    )


def noise_floors(run_dir: Path, baseline: str, first: Measured) -> dict[str, float]:
    """What two passes of the baseline differ by, by task; empty without a second pass."""
    scores, samples = pass_paths(run_dir, baseline, repeat=True)
    if _read(QualityFile, scores) is None:
        return {}
    second = by_task(read_samples(samples))
    floors = {
        task: noise_floor(rows, second[task])
        for task, rows in first.samples.items()
        if task in second
    }
    return {task: floor for task, floor in floors.items() if floor is not None}


def compare_quality(
    mine: Measured, baseline: Measured, objectives: Objectives, floors: Mapping[str, float]
) -> tuple[dict[str, TaskComparison], dict[str, str]]:
    """All tasks of one variant, and why the others are not compared."""
    if mine.quality is None:
        return {}, {}
    refused = dict(mine.quality.refused_tasks)
    compared: dict[str, TaskComparison] = {}
    for task, score in mine.quality.tasks.items():
        theirs = None if mine is baseline else baseline.samples.get(task)
        if mine is not baseline and theirs is None:
            refused[task] = "the baseline has no answers to compare with"
            continue
        compared[task] = compare_task(
            mine.samples[task], theirs, score, objectives, floors.get(task)
        )
    return compared, refused


def compare_level(
    level: LevelSummary, mine: Measured, baseline: Measured, objectives: Objectives
) -> LoadComparison:
    """One concurrency of one variant, with goodput, cost and the ratio to the baseline."""
    records = mine.records[level.concurrency]
    good = goodput(records, objectives.slo)
    price, speed = objectives.price_per_hour, level.output_tok_per_s.value
    return LoadComparison(
        concurrency=level.concurrency,
        requests=level.requests,
        errors=level.errors,
        ttft_s=_estimates(level.ttft_s),
        tpot_s=_estimates(level.tpot_s),
        e2e_s=_estimates(level.e2e_s),
        output_tok_per_s=_estimate(level.output_tok_per_s),
        output_tok_per_s_ratio=_estimate(
            throughput_ratio(records, baseline.records[level.concurrency])
        ),
        goodput_per_s=_estimate(good.per_s),
        goodput_share=good.share,
        cost_per_million_output_tokens=(
            price / (speed * 3600) * 1e6 if price is not None and speed > 0 else None
        ),
    )


def _estimate(measured: BaseModel) -> Estimate:
    """The load test's estimate as ours: the stages share files, not models."""
    return Estimate.model_validate(measured.model_dump())


def _estimates(measured: Mapping[str, BaseModel]) -> dict[str, Estimate]:
    return {key: _estimate(value) for key, value in measured.items()}


def compare_variant(
    variant: Variant,
    mine: Measured,
    baseline: Measured,
    objectives: Objectives,
    floors: Mapping[str, float],
) -> VariantComparison:
    """Everything the verdict may use of one variant."""
    quality, refused = compare_quality(mine, baseline, objectives, floors)
    levels = mine.load.levels if mine.load is not None else []
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
        load=[compare_level(level, mine, baseline, objectives) for level in levels],
        saturated_client=mine.load.saturated if mine.load else False,
        refused_tasks=refused,
    )


def build_comparison(
    run_dir: Path, plan: Plan, *, artifacts: Path = ARTIFACTS_DIR
) -> ComparisonFile:
    """Pair every variant of the plan with the baseline, and keep it in ``comparison.json``.

    Raises:
        ComparisonError: the baseline was not loaded or not questioned, or a file is damaged.
        ArtifactError: an artifact is missing.
    """
    model = source_model(plan)
    variants = plan.resolved_variants()
    measured = {
        variant.name: read_measured(
            run_dir,
            variant.name,
            read_manifest(artifact_directory(artifacts, model, variant.recipe.name)),
        )
        for variant in variants
    }
    baseline = measured[plan.baseline]
    if baseline.load is None:
        raise ComparisonError(f"the baseline {plan.baseline} has no load figures: `make loadtest`")
    if baseline.quality is None:
        raise ComparisonError(f"the baseline {plan.baseline} has no quality figures: `make eval`")
    floors = noise_floors(run_dir, plan.baseline, baseline)
    compared = [
        compare_variant(variant, measured[variant.name], baseline, plan.objectives, floors)
        for variant in variants
    ]
    concurrency = plan.objectives.concurrency or max(plan.load.concurrencies)
    result = ComparisonFile(
        run=run_dir.name,
        plan=plan.name,
        model=plan.model,
        baseline=plan.baseline,
        variants=compared,
        attribution=attribute(compared, plan.baseline, concurrency),
    )
    temporary = run_dir / f"{COMPARISON_NAME}.partial"
    temporary.write_text(result.model_dump_json(indent=2))
    temporary.replace(run_dir / COMPARISON_NAME)
    return result
