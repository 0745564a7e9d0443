"""Load, questions, comparison, verdict and report against the real service, start to end.

covers: eval/environment_record.py, eval/pipeline.py, loadtest/measure.py
"""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deploy.artifacts import artifact_of, source_model
from deploy.plan import Plan
from eval.divergence.divergence_figures import WHOLE
from eval.divergence.divergence_stage import run_divergence
from eval.pipeline import make_report
from eval.quality import run_quality
from eval.samples import Sample, read_samples
from eval.schema import ComparisonFile, VerdictFile
from loadtest.load_kinds import points_of
from loadtest.measure import load_test
from loadtest.prompts import make_prompts
from loadtest.records import read_records
from loadtest.run_directory import open_run
from quantize.calibration.calibration_set import calibration_plan, read_texts
from quantize.jobs.environment import python_of
from quantize.root import ROOT
from quantize.source.source_model import resolve_model

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]


TEXTS = 16
# Log-likelihood per choice, index of the right one, answered right.
Direct = tuple[list[float], int, bool]


@pytest.fixture(scope="module")
def run_dir(service: str, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the test plan."""
    assert service
    results = tmp_path_factory.mktemp("results")
    directory = open_run(plan, results)
    text = calibration_plan(plan.calibration.text, 64, 512).path
    prompts = make_prompts(resolve_model(plan.model), read_texts(text), seed=plan.load.seed)
    assert load_test(plan, prompts, say=print, results=results) == {}
    run_quality(plan, directory)
    few = plan.quality.model_copy(update={"divergence": TEXTS})
    run_divergence(plan.model_copy(update={"quality": few}), directory)
    make_report(plan, directory)
    return directory


@pytest.fixture(scope="module")
def direct(
    plan: Plan, run_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Direct]:
    """What lm-eval's own backend says of the choices, by item."""
    assert run_dir
    folder = tmp_path_factory.mktemp("direct")
    artifact = artifact_of(source_model(plan), "bf16")
    command = [str(python_of("quantize")), "-m", "lm_eval", "--model", "hf"]
    command += ["--model_args", f"pretrained={artifact},dtype=bfloat16", "--device", "cpu"]
    command += ["--tasks", "assay_choice", "--include_path", "eval/tasks", "--log_samples"]
    command += ["--limit", str(plan.quality.limit), "--output_path", str(folder)]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    subprocess.run(
        [*command, "--batch_size", "16"], check=True, cwd=ROOT, env={**os.environ, **offline}
    )
    (path,) = folder.rglob("samples_assay_choice_*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {
        row["doc_id"]: (
            [float(response[0]) for response in row["filtered_resps"]],
            int(row["doc"]["answer"]),
            bool(row["acc"]),
        )
        for row in rows
    }


def samples(directory: Path, variant: str, task: str) -> dict[int, Sample]:
    rows = read_samples(directory / variant / "samples.parquet")
    return {row.item: row for row in rows if row.task == task}


def test_every_variant_has_raw_records_without_an_error(run_dir: Path, plan: Plan) -> None:
    for variant in plan.variants:
        records = read_records(run_dir / variant / "requests.parquet")
        counted = [record for record in records if record.counted]
        assert {record.point for record in counted} == set(points_of(plan.load))
        assert all(record.error is None for record in counted)
        assert {record.output_tokens for record in counted} == {plan.load.output_tokens.most}
        assert {record.prompt_tokens for record in counted} == {plan.load.prompt_tokens.most}


def test_every_variant_answered_every_item_and_the_same_questions(
    run_dir: Path, plan: Plan
) -> None:
    for task in plan.quality.tasks:
        asked = samples(run_dir, plan.baseline, task)
        assert len(asked) == plan.quality.limit
        for variant in plan.variants:
            rows = samples(run_dir, variant, task)
            assert {item: row.prompt_sha256 for item, row in rows.items()} == {
                item: row.prompt_sha256 for item, row in asked.items()
            }


def test_the_comparison_the_verdict_and_the_report_name_every_variant(
    run_dir: Path, plan: Plan
) -> None:
    comparison = ComparisonFile.model_validate_json((run_dir / "comparison.json").read_text())
    verdict = VerdictFile.model_validate_json((run_dir / "verdict.json").read_text())
    page = (run_dir / "report.html").read_text()
    assert [variant.variant for variant in comparison.variants] == list(plan.variants)
    assert {ranked.variant for ranked in verdict.ranking} == set(plan.variants)
    for variant in plan.variants:
        assert variant in page
    assert (run_dir / "locust-round0.html").is_file()
    assert not re.search(r"""(src|href)=["']https?://""", page)


def test_quantized_weights_are_smaller_in_the_engines_too(run_dir: Path) -> None:
    comparison = ComparisonFile.model_validate_json((run_dir / "comparison.json").read_text())
    held = {item.variant: item.held_weight_bytes or 0 for item in comparison.variants}
    assert held["gptq-int4-g128-vllm"] < 0.5 * held["bf16-vllm"]
    assert held["awq-int4-g128-vllm"] < 0.5 * held["bf16-vllm"]
    assert held["gguf-q2_k"] < held["gguf-q4_k_m"] < held["gguf-q8_0"] < held["gguf-bf16"]


def test_how_every_variant_agrees_with_its_weights_is_part_of_the_evidence(run_dir: Path) -> None:
    comparison = ComparisonFile.model_validate_json((run_dir / "comparison.json").read_text())
    states = {item.variant: item.agreement.state for item in comparison.variants if item.agreement}
    assert states == dict.fromkeys([item.variant for item in comparison.variants], "agrees")


def test_two_bits_cost_quality_that_eight_bits_do_not(run_dir: Path) -> None:
    def nll(variant: str) -> float:
        rows = samples(run_dir, variant, "assay_text").values()
        return sum(row.nll or 0 for row in rows) / sum(row.tokens or 0 for row in rows)

    baseline = nll("bf16-vllm")
    assert abs(nll("gguf-q8_0") - baseline) < 0.02
    assert nll("gguf-q2_k") > baseline + 0.05


def test_fewer_bits_predict_further_from_the_baseline_through_every_engine(run_dir: Path) -> None:
    comparison = ComparisonFile.model_validate_json((run_dir / "comparison.json").read_text())
    found = {item.variant: item.divergence.get(WHOLE) for item in comparison.variants}
    assert found.pop("bf16-vllm") is None
    kl = {name: it.kl.value for name, it in found.items() if it is not None}
    assert kl.keys() == found.keys()
    assert kl["gguf-q8_0"] < kl["gguf-q4_k_m"] < kl["gguf-q2_k"]
    assert kl["gptq-int4-g128-vllm"] > kl["gguf-q8_0"]
    for it in found.values():
        assert it is not None
        assert it.texts == TEXTS
        assert it.floor is not None
        assert it.floor.kl < kl["gguf-q4_k_m"]
        assert it.answers is not None


@pytest.mark.parametrize("variant", ["bf16-vllm", "gguf-bf16"])
def test_the_endpoint_scores_like_lm_evals_own_transformers_backend(
    run_dir: Path, direct: dict[int, Direct], variant: str
) -> None:
    served = samples(run_dir, variant, "assay_choice")
    differences = []
    for item, row in served.items():
        logs, target, correct = direct[item]
        assert row.nll is not None
        assert row.tokens is not None
        differences.append((-row.nll - logs[target]) / row.tokens)
        # Where both best answers lie within rounding of each other, either may come out on top.
        margin = abs(logs[target] - max(log for i, log in enumerate(logs) if i != target))
        assert row.correct == correct or margin < 0.5, f"item {item}: margin {margin:.3f} nats"
    assert abs(float(np.mean(differences))) < 0.02
