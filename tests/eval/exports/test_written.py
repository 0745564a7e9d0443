"""The exports are what the other tools read, with the same figures.

covers: eval/exports/answered.py, eval/exports/inspect_log.py, eval/exports/lm_eval_results.py,
eval/exports/nemo_bundle.py
"""

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lm_eval.utils import make_table

from eval.exports.answered import as_file_name
from eval.exports.written import write_exports
from eval.samples import write_samples
from eval.schema import ComparisonFile, QualityFile
from eval.task_score import TaskScore
from eval.two_runs.kept_run import KeptRunError
from loadtest.stats import wilson_interval
from tests.eval.run_on_disk import BASE, answers, documents
from tests.eval.two_runs import runs

STAMP = "2026-11-23T22-41-07+00-00"
Q8 = "gguf-q8_0"


@pytest.fixture(name="exported", scope="module")
def fixture_exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    run = runs.write(folder / "run")
    parts = [
        replace(it, stratum=("sums", "words")[it.item % 2], prompt=f"Question {it.item}?")
        for it in answers("assay_words", BASE)
    ]
    texts = documents("assay_text", [2.0, 3.0])
    scores = {
        "assay_words": TaskScore(
            metric="accuracy",
            value=0.8,
            items=1000,
            details={"sample_len": 1000.0, "exact_match,answer": 0.8, "seconds": 3.0},
        ),
        "assay_text": TaskScore(
            metric="nll_per_token", value=0.025, items=2, details={"word_perplexity": 9.5}
        ),
    }
    path = run / Q8 / "quality.json"
    quality = QualityFile.model_validate_json(path.read_text())
    path.write_text(quality.model_copy(update={"tasks": scores}).model_dump_json())
    write_samples(run / Q8 / "samples.parquet", [*parts, *texts])
    write_exports(run, folder / "out")
    return folder / "out"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lm_evals_own_table_shows_the_same_figures(exported: Path) -> None:
    content = json.loads((exported / "lm-eval" / Q8 / f"results_{STAMP}.json").read_text())
    error = statistics.stdev([1.0] * 800 + [0.0] * 200) / 1000**0.5
    assert content["results"]["assay_words"] == {
        "alias": "assay_words",
        "sample_len": 1000,
        "exact_match,answer": 0.8,
        "exact_match_stderr,answer": pytest.approx(error),
    }
    table = make_table(content)
    cells = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
    [words] = [line for line in cells if "exact_match" in line]
    assert words[1:7] == ["assay_words", "Yaml", "answer", "0", "exact_match", "↑"]
    assert (float(words[7]), float(words[9])) == (0.8, round(error, 4))
    assert any({"word_perplexity", "↓", "9.5"} <= set(line) for line in cells)


def test_lm_evals_samples_say_what_was_asked_and_answered(exported: Path) -> None:
    found = rows(exported / "lm-eval" / Q8 / f"samples_assay_words_{STAMP}.jsonl")
    assert len(found) == 1000
    assert sum(row["exact_match"] for row in found) == 800
    assert found[3]["doc_id"] == 3
    assert found[3]["arguments"] == {"gen_args_0": {"arg_0": "Question 3?"}}
    assert (found[3]["filter"], found[3]["doc"]) == ("answer", {"kind": "words"})


def test_an_inspect_log_has_a_letter_per_answer_and_the_accuracy(exported: Path) -> None:
    [path] = (exported / "inspect" / Q8).glob(f"{STAMP}_assay_words_*.json")
    log = json.loads(path.read_text())
    letters = [sample["scores"]["accuracy"]["value"] for sample in log["samples"]]
    assert (letters.count("C"), letters.count("I")) == (800, 200)
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 0.8
    assert (log["version"], log["status"]) == (2, "success")
    [texts] = (exported / "inspect" / Q8).glob(f"{STAMP}_assay_text_*.json")
    nats = [it["scores"]["nll"]["value"] for it in json.loads(texts.read_text())["samples"]]
    assert nats == [2.0, 3.0]


def test_a_nemo_bundle_lies_beside_its_rewards_and_only_where_answers_are_right_or_wrong(
    exported: Path,
) -> None:
    folder = exported / "nemo-evaluator" / Q8
    assert [path.name for path in folder.iterdir()] == ["assay_words"]
    content = json.loads((folder / "assay_words" / "eval-assay_words.json").read_text())
    score = content["benchmark"]["scores"]["mean_reward"]
    assert score["ci_lower"] < score["value"] == 0.8 < score["ci_upper"]
    assert content["benchmark"]["categories"]["sums"]["n"] == 500
    found = rows(folder / "assay_words" / "results.jsonl")
    assert [row["problem_idx"] for row in found] == list(range(1000))
    assert sum(row["reward"] for row in found) == 800
    assert found[1]["metadata"] == {"category": "words"}


def test_questions_that_were_ended_early_are_told_as_such_and_failed_variants_left_out(
    tmp_path: Path,
) -> None:
    run = runs.write(tmp_path / "run")
    score = TaskScore(
        metric="accuracy",
        value=0.8,
        items=1000,
        details={"exact_match,answer": 0.8, "available_items": 1200.0},
    )
    path = run / Q8 / "quality.json"
    quality = QualityFile.model_validate_json(path.read_text())
    early = {"tasks": {"assay_words": score}, "anytime": True}
    broke = {"failed_tasks": {"assay_words": "the endpoint went away"}}
    path.write_text(quality.model_copy(update=early | broke).model_dump_json())
    write_samples(run / Q8 / "samples.parquet", answers("assay_words", BASE))
    comparison = run / "comparison.json"
    found = ComparisonFile.model_validate_json(comparison.read_text())
    baseline = found.variants[0].variant
    comparison.write_text(runs.changed(found, baseline, quality={}).model_dump_json())
    write_exports(run, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "lm-eval").iterdir()] == [Q8]
    content = json.loads((tmp_path / "out" / "lm-eval" / Q8 / f"results_{STAMP}.json").read_text())
    assert content["n-samples"] == {"assay_words": {"original": 1200, "effective": 1000}}
    assert content["results"]["assay_words"]["exact_match_stderr,answer"] == "N/A"
    [path] = (tmp_path / "out" / "inspect" / Q8).iterdir()
    log = json.loads(path.read_text())
    assert (log["status"], log["error"]["message"]) == ("error", "the endpoint went away")
    assert log["eval"]["dataset"]["samples"] == 1200
    assert log["results"]["completed_samples"] == 1000
    beside = tmp_path / "out" / "nemo-evaluator" / Q8 / "assay_words" / "eval-assay_words.json"
    score_of = json.loads(beside.read_text())["benchmark"]["scores"]["mean_reward"]
    assert score_of["ci_lower"] < (wilson_interval(800, 1000, 0.95).low or 0)


def test_a_name_cannot_lead_out_of_the_folder() -> None:
    assert as_file_name("../a b/c") == "_a_b_c"
    assert as_file_name("gguf-q4_k_m") == "gguf-q4_k_m"
    assert as_file_name("..") == "_"


def test_what_is_no_run_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(KeptRunError, match="no such run"):
        write_exports(tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()
