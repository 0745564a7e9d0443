"""Only figures of one generation are compared; a variant that failed is told, not dropped.

covers: eval/terminal.py, eval/verdict_evidence.py
"""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from deploy.plan import Plan
from eval.comparison import build_comparison
from eval.measured import ComparisonError
from eval.reasons import sentences
from eval.report.page import write_report
from eval.terminal import render_terminal
from eval.verdict import decide
from loadtest.failures import record_failure
from quantize.artifact_paths import artifact_directory
from tests.eval.run_on_disk import MODEL


def change(path: Path, **changes: object) -> None:
    """Change keys of a result file, as an earlier or later run would have written them."""
    content = json.loads(path.read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        target = content
        for parent in parents:
            target = target[parent]
        target[last] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("load", {"endpoint__artifact_sha256": "old"}, r"load\.json .*another artifact.*loadtest"),
        ("quality", {"artifact_sha256": "old"}, r"quality\.json .*another artifact.*make eval"),
        ("quality", {"engine_version": "2"}, r"load\.json was measured with 1, .*json with 2"),
    ],
)
@pytest.mark.parametrize("variant", ["bf16-vllm", "gguf-q8_0"])
def test_figures_of_another_artifact_or_engine_are_refused_with_file_and_stage(
    tiny_plan: Plan,
    tiny_run: Path,
    tmp_path: Path,
    variant: str,
    name: str,
    changes: dict[str, object],
    message: str,
) -> None:
    change(tiny_run / variant / f"{name}.json", **changes)
    with pytest.raises(ComparisonError, match=message):
        build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")


def test_a_second_pass_with_other_inputs_is_no_noise_floor(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path
) -> None:
    change(tiny_run / "bf16-vllm" / "quality-repeat.json", inputs_sha256="others")
    with pytest.raises(ComparisonError, match=r"quality-repeat\.json .*other inputs.*make eval"):
        build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")


def test_a_variant_that_was_never_served_is_told_and_the_others_are_compared(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path
) -> None:
    record_failure(tiny_run, "gguf-q8_0", "deploy", "gguf-q8_0: it exited\nlog line\nno room")
    shutil.rmtree(artifact_directory(tmp_path / "artifacts", MODEL, "gguf-q8_0"))
    found = build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")
    assert [variant.variant for variant in found.variants] == ["bf16-vllm"]
    assert found.failed == {"gguf-q8_0": "deploy: it exited … no room"}
    verdict = decide(found, tiny_plan.objectives)
    assert verdict.ranking[-1].variant == "gguf-q8_0"
    assert sentences(verdict.ranking[-1].failed) == ["failed: deploy: it exited … no room"]
    text = render_terminal(found, verdict, width=200)
    assert next(line for line in text.splitlines() if "gguf-q8_0" in line).split()[1] == "failed"
    assert "gguf-q8_0 failed: deploy: it exited … no room" in text


def test_a_variant_whose_questions_failed_keeps_how_it_agreed_when_it_was_loaded(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path
) -> None:
    agreed = {"state": "agrees", "tokens": 9, "mean_nats": 0.01, "limit_nats": 0.2}
    change(tiny_run / "gguf-q8_0" / "load.json", endpoint__agreement=agreed)
    record_failure(tiny_run, "gguf-q8_0", "quality", "the endpoint went away")
    _, mine = build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts").variants
    assert mine.agreement is not None
    assert mine.agreement.mean_nats == 0.01


def test_of_a_variant_whose_stage_failed_older_figures_of_that_stage_do_not_count(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path
) -> None:
    change(tiny_run / "gguf-q8_0" / "quality.json", artifact_sha256="old")
    record_failure(tiny_run, "gguf-q8_0", "quality", "the endpoint went away")
    found = build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")
    _, mine = found.variants
    assert (mine.quality, len(mine.load)) == ({}, 1)
    verdict = decide(found, tiny_plan.objectives)
    ranked = next(entry for entry in verdict.ranking if entry.variant == "gguf-q8_0")
    assert ranked.failed[0].sentence == "failed: quality: the endpoint went away"
    assert not ranked.passes


def test_without_its_baseline_nothing_is_compared(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path
) -> None:
    record_failure(tiny_run, "bf16-vllm", "load test", "all requests failed")
    with pytest.raises(ComparisonError, match=r"make loadtest.*all requests failed"):
        build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")
    record_failure(tiny_run, "bf16-vllm", "deploy", "no room")
    with pytest.raises(ComparisonError, match=r"the baseline bf16-vllm failed: .*no room"):
        build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")


def test_a_failed_variant_stands_in_the_report_with_its_reason(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path
) -> None:
    record_failure(tiny_run, "gguf-q8_0", "quantize", "rows of 100 do not fit <groups>")
    (tiny_run / "plan.yaml").write_text(yaml.safe_dump(tiny_plan.model_dump(mode="json")))
    found = build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")
    verdict = decide(found, tiny_plan.objectives)
    (tiny_run / "verdict.json").write_text(verdict.model_dump_json())
    page = write_report(tiny_run).read_text()
    assert page.count("rows of 100 do not fit &lt;groups&gt;") >= 2
