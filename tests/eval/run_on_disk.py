"""A small finished run of two variants, as the earlier stages leave it on the disk."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deploy.plan_load import ClosedLoopLoad
from eval.measured import Measured
from eval.samples import Sample, by_task, write_samples
from eval.schema import QualityFile
from eval.task_score import TaskScore
from loadtest.closed_loop import ClosedLoop
from loadtest.job import ClientHealth
from loadtest.load_file import Endpoint, LevelSummary, LoadFile
from loadtest.records import RequestRecord, write_records
from loadtest.summary import output_throughput, percentiles, request_rate
from quantize.artifact.manifest import Manifest
from quantize.artifact_paths import artifact_directory
from quantize.recipes.catalogue import find_recipe
from quantize.source.source_model import SourceModel
from services.variants import find_variant

MODEL = SourceModel(name="reference", original=Path(), sha256="c" * 64)


def answers(task: str, right: Sequence[bool]) -> list[Sample]:
    return [
        Sample(
            task=task,
            item=item,
            prompt_sha256=f"{task}-{item}",
            correct=bool(good),
            score=float(good),
            nll=None,
            tokens=None,
            bytes=None,
            answer="a",
            target="a",
        )
        for item, good in enumerate(right)
    ]


def documents(task: str, nll: Sequence[float], tokens: int = 100) -> list[Sample]:
    return [
        replace(sample, correct=None, score=None, nll=float(value), tokens=tokens, bytes=400)
        for sample, value in zip(answers(task, [True] * len(nll)), nll, strict=True)
    ]


def flipped(right: Sequence[bool], to_wrong: int, to_right: int) -> list[bool]:
    changed = list(right)
    for index in [i for i, good in enumerate(right) if good][:to_wrong]:
        changed[index] = False
    for index in [i for i, good in enumerate(right) if not good][:to_right]:
        changed[index] = True
    return changed


BASE = [True] * 800 + [False] * 200


def records(variant: str, token_s: float) -> list[RequestRecord]:
    rows = []
    for round_ in range(2):
        for number in range(12):
            start, end = number * 10 * token_s, (number + 1) * 10 * token_s
            rows.append(
                RequestRecord(
                    variant=variant,
                    round=round_,
                    point=ClosedLoop(1),
                    request_id=f"{round_}-{number}",
                    counted=True,
                    scheduled_s=start,
                    send_s=start,
                    first_token_s=start + token_s,
                    last_token_s=end,
                    end_s=end,
                    prompt_tokens=8,
                    output_tokens=10,
                    chunks=10,
                    max_gap_s=token_s,
                    status=200,
                    error=None,
                )
            )
    return rows


SIZES = {"bf16": 400, "gguf-q8_0": 200}


def manifest(recipe: str) -> Manifest:
    """A manifest of one file; its content's hash differs by recipe."""
    weight_bytes = SIZES[recipe]
    content: dict[str, object] = {
        "model": "reference",
        "model_sha256": MODEL.sha256,
        "recipe": recipe,
        "parameters": {},
        "weight_format": find_recipe(recipe).weight_format,
        "tool": "t",
        "tool_version": "1",
        "calibration_sha256": None,
        "inputs_sha256": "i",
        "parameter_count": 10,
        "quantized_parameters": 10,
        "weight_bytes": weight_bytes,
        "quantized_weight_bytes": weight_bytes,
        "bits_per_weight": 8.0,
        "tensor_types": {},
        "seconds": 1.0,
        "peak_memory_bytes": 1,
        "files": [{"path": "w", "size_bytes": weight_bytes + 7, "sha256": recipe}],
    }
    return Manifest.model_validate(
        {name: value for name, value in content.items() if name in Manifest.model_fields}
    )


def sha256_of(variant: str) -> str:
    recipe = find_variant(variant).recipe.name
    return manifest(recipe if recipe in SIZES else "bf16").content_sha256


def load_file(variant: str, rows: list[RequestRecord]) -> LoadFile:
    client = ClientHealth(cpu_share_p95=0.1, loop_lag_p95_s=0.0)
    level = LevelSummary(
        point=ClosedLoop(1),
        requests=len(rows),
        errors=0,
        error_reasons={},
        counted_s=1.0,
        ttft_s=percentiles(rows, "ttft_s"),
        tpot_s=percentiles(rows, "tpot_s"),
        e2e_s=percentiles(rows, "e2e_s"),
        output_tok_per_s=output_throughput(rows),
        request_per_s=request_rate(rows),
        tokens_per_chunk=1.0,
        client=client,
    )
    return LoadFile(
        variant=variant,
        inputs_sha256="i",
        endpoint=Endpoint(
            variant=variant,
            recipe=find_variant(variant).recipe.name,
            engine=find_variant(variant).engine.name,
            engine_version="1",
            artifact_sha256=sha256_of(variant),
            memory_bytes=1000,
            held_weight_bytes=500,
        ),
        load=ClosedLoopLoad(concurrencies=(1,), rounds=2),
        levels=[level],
        saturated=False,
        started_at="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        locust_version="2",
    )


def write_load(folder: Path, variant: str, token_s: float) -> None:
    rows = records(variant, token_s)
    (folder / "load.json").write_text(load_file(variant, rows).model_dump_json())
    write_records(folder / "requests.parquet", rows)


def measured_of(variant: str, samples: list[Sample], token_s: float) -> Measured:
    """The same without files, for any variant."""
    rows = records(variant, token_s)
    return Measured(
        manifest=manifest("bf16"),
        quality=None,
        samples=by_task(samples),
        load=load_file(variant, rows),
        records={ClosedLoop(1): rows},
    )


def write_quality(
    folder: Path, variant: str, samples: list[Sample], suffix: str = "", **refused: str
) -> None:
    scores = {
        task: TaskScore(metric="accuracy", value=0.5, items=1, details={})
        for task in {sample.task for sample in samples}
    }
    quality = QualityFile(
        variant=variant,
        inputs_sha256="i",
        artifact_sha256=sha256_of(variant),
        engine_version="1",
        seconds=1.0,
        tasks=scores,
        refused_tasks=refused,
    )
    (folder / f"quality{suffix}.json").write_text(quality.model_dump_json())
    write_samples(folder / f"samples{suffix}.parquet", samples)


def write_manifest(artifacts: Path, recipe: str) -> None:
    folder = artifact_directory(artifacts, MODEL, recipe)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest(recipe).model_dump_json())
