"""Every variant is compared with the baseline item by item, and only what exceeds the noise is
charged to it.

covers: eval/attribution.py, eval/paired.py, eval/schema.py
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deploy.plan import Plan
from deploy.plan_sections import Objectives
from eval.answer_costs import answer_cost
from eval.attribution import attribute, unquantized_sibling
from eval.comparison import COMPARISON_NAME, build_comparison
from eval.measured import ComparisonError
from eval.paired import compare_task, difference, noise_floor
from eval.samples import pair
from eval.schema import ComparisonFile
from eval.task_score import TaskScore
from loadtest.closed_loop import ClosedLoop
from tests.eval.run_on_disk import BASE, answers, documents, flipped, measured_of

ACCURACY = TaskScore(metric="accuracy", value=0.0, items=1, details={})
NLL = TaskScore(metric="nll_per_token", value=0.0, items=1, details={})


def test_a_small_loss_with_many_items_is_proven_within_the_margin() -> None:
    result = compare_task(
        answers("t", flipped(BASE, 12, 10)),
        answers("t", BASE),
        ACCURACY,
        Objectives(accuracy_margin=0.03),
        0.0,
    )
    assert result.difference is not None
    assert result.difference.value == pytest.approx(-0.002)
    assert result.flips is not None
    assert (result.flips.to_wrong, result.flips.to_right) == (12, 10)
    assert (result.verdict, result.significant, result.items) == ("equal_or_better", False, 1000)


def test_a_large_loss_is_worse_and_significant() -> None:
    result = compare_task(
        answers("t", flipped(BASE, 240, 10)), answers("t", BASE), ACCURACY, Objectives(), 0.01
    )
    assert (result.verdict, result.significant) == ("worse", True)
    assert result.score.value == pytest.approx(0.57)


def test_few_items_leave_even_equal_answers_undecided() -> None:
    few = answers("t", BASE[790:830])
    assert compare_task(few, few, ACCURACY, Objectives(), None).verdict == "undecided"


def test_a_change_as_small_as_the_noise_of_the_baseline_is_not_significant() -> None:
    mine, theirs = answers("t", flipped(BASE, 30, 8)), answers("t", BASE)
    quiet = compare_task(mine, theirs, ACCURACY, Objectives(), 0.0)
    noisy = compare_task(mine, theirs, ACCURACY, Objectives(), 0.025)
    assert (quiet.significant, noisy.significant) == (True, False)


def test_the_baseline_is_not_compared_with_itself() -> None:
    result = compare_task(answers("t", BASE), None, ACCURACY, Objectives(), 0.004)
    assert result.difference is None
    assert result.flips is None
    assert (result.noise_floor, result.verdict) == (0.004, "equal_or_better")


@pytest.mark.parametrize(
    ("rise", "verdict"), [(0.01, "equal_or_better"), (0.049, "undecided"), (0.2, "worse")]
)
def test_a_rise_of_the_likelihood_loss_is_held_against_its_own_margin(
    rise: float, verdict: str
) -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(230, 20, 60)
    mine = base + 100 * rng.normal(rise, 0.02, 60)
    result = compare_task(
        documents("t", list(mine)),
        documents("t", list(base)),
        NLL,
        Objectives(nll_margin=0.05),
        0.0,
    )
    assert result.verdict == verdict
    assert result.difference is not None
    assert result.difference.value == pytest.approx(rise, abs=0.01)
    assert result.flips is None


def test_a_shared_difficulty_of_the_documents_cancels_in_the_pair() -> None:
    base = np.random.default_rng(4).normal(230, 60, 40)
    pairs = pair(documents("t", list(base + 1)), documents("t", list(base)))
    low, high = difference(pairs, 0.95).change.bounds or (0, 1)
    assert high - low == pytest.approx(0, abs=1e-9)


def test_answers_that_flip_both_ways_are_noise_though_the_means_agree() -> None:
    first = answers("t", BASE)
    assert noise_floor(first, first, 0.95) == 0
    # 32 of 1,000 answers changed: by chance alone the mean may move by 1.96 * sqrt(32) / 1000.
    even = noise_floor(first, answers("t", flipped(BASE, 16, 16)), 0.95)
    assert even == pytest.approx(0.01109, abs=1e-5)
    assert noise_floor(first, [], 0.95) is None


def test_a_drift_between_two_passes_is_noise_too() -> None:
    first = answers("t", BASE)
    assert noise_floor(first, answers("t", flipped(BASE, 40, 0)), 0.95) == pytest.approx(0.04)
    documents_ = documents("t", [230.0] * 40)
    drifted = documents("t", [231.0] * 40)
    assert noise_floor(documents_, drifted, 0.95) == pytest.approx(0.01)


def test_the_parts_of_a_task_are_compared_each_by_itself() -> None:
    parts = ["sums" if number % 2 else "words" for number in range(len(BASE))]
    theirs = [replace(s, stratum=p) for s, p in zip(answers("t", BASE), parts, strict=True)]
    mine = [replace(s, correct=False, score=0.0) if s.stratum == "sums" else s for s in theirs]
    result = compare_task(mine, theirs, ACCURACY, Objectives(), 0.0)
    assert result.strata.keys() == {"sums", "words"}
    assert {part.items for part in result.strata.values()} == {len(BASE) // 2}
    sums, words = (result.strata[part].difference for part in ("sums", "words"))
    assert sums is not None
    assert words is not None
    assert sums.high is not None
    assert (sums.high < -0.5, words.value) == (True, 0.0)
    own = compare_task(theirs, None, ACCURACY, Objectives(), 0.0).strata["sums"]
    assert own.difference is None


def test_a_task_of_one_part_has_no_parts() -> None:
    same = [replace(sample, stratum="sums") for sample in answers("t", BASE)]
    assert compare_task(same, same, ACCURACY, Objectives(), 0.0).strata == {}
    plain = answers("t", BASE)
    assert compare_task(plain, plain, ACCURACY, Objectives(), 0.0).strata == {}


def test_variants_without_a_common_item_are_not_compared() -> None:
    mine = [replace(sample, item=sample.item + 5000) for sample in answers("t", BASE)]
    with pytest.raises(ValueError, match="share no item"):
        compare_task(mine, answers("t", BASE), ACCURACY, Objectives(), None)


def test_engine_and_recipe_shares_add_up_multiply_and_have_intervals() -> None:
    right = {"bf16-vllm": BASE, "gguf-bf16": flipped(BASE, 8, 4), "gguf-q2_k": flipped(BASE, 90, 5)}
    token_s = {"bf16-vllm": 0.02, "gguf-bf16": 0.016, "gguf-q2_k": 0.01}
    measured = {name: measured_of(name, answers("t", right[name]), token_s[name]) for name in right}
    shares = attribute(measured, "bf16-vllm", ClosedLoop(1), 0.95)
    assert set(shares) == {"gguf-q2_k"}
    mine = shares["gguf-q2_k"]
    assert mine["t_engine"].value == pytest.approx(-0.004)
    assert mine["t_engine"].value + mine["t_recipe"].value == pytest.approx(-0.085)
    ratio = mine["speed_ratio_engine"].value * mine["speed_ratio_recipe"].value
    assert ratio == pytest.approx(2)
    for share in mine.values():
        assert share.low is not None
        assert share.high is not None
        assert share.low <= share.value <= share.high
    # The recipe's loss is beyond doubt, the engine's is not.
    assert mine["t_engine"].low < 0 < mine["t_engine"].high  # type: ignore[operator]
    assert mine["t_recipe"].high < 0  # type: ignore[operator]
    without = attribute(measured, "bf16-vllm", ClosedLoop(1), 0.95, silent=["t"])
    assert set(without["gguf-q2_k"]) == {"speed_ratio_engine", "speed_ratio_recipe"}


@pytest.mark.parametrize(
    ("name", "sibling"),
    [
        ("gguf-q4_k_m", "gguf-bf16"),
        ("gguf-bf16", None),
        ("bf16-vllm", None),
        ("gptq-int4-g128-vllm", None),
    ],
)
def test_the_unquantized_sibling_tells_the_engines_share(name: str, sibling: str | None) -> None:
    names = ["bf16-vllm", "gptq-int4-g128-vllm", "gguf-bf16", "gguf-q4_k_m"]
    assert unquantized_sibling(name, "bf16-vllm", names) == sibling


def test_without_a_sibling_nothing_is_attributed() -> None:
    assert unquantized_sibling("gguf-q8_0", "bf16-vllm", ["bf16-vllm", "gguf-q8_0"]) is None


def test_a_run_is_paired_from_its_files(tiny_plan: Plan, tiny_run: Path, tmp_path: Path) -> None:
    result = build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")
    stored = ComparisonFile.model_validate_json((tiny_run / COMPARISON_NAME).read_bytes())
    assert result == stored
    base, mine = result.variants
    assert (base.variant, mine.variant, result.baseline) == ("bf16-vllm", "gguf-q8_0", "bf16-vllm")
    assert (mine.weight_bytes, mine.artifact_bytes, mine.memory_bytes) == (200, 207, 1000)
    assert mine.refused_tasks == {"u": "no echo_logprobs"}
    assert mine.quality["t"].noise_floor == pytest.approx(0.00277, abs=1e-5)
    assert mine.quality["t"].flips is not None
    assert mine.quality["t"].flips.to_wrong == 6


def test_speed_is_a_ratio_with_goodput_and_cost(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path
) -> None:
    base, mine = build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts").variants
    assert base.load[0].output_tok_per_s_ratio.value == pytest.approx(1)
    level = mine.load[0]
    share = base.load[0].goodput_share
    assert share.high is not None
    assert 0.1 < share.high < 0.2
    assert level.output_tok_per_s_ratio.value == pytest.approx(2)
    assert level.output_tok_per_s.value == pytest.approx(100)
    # 3.6 an hour at 100 tokens per second: 10 for a million tokens.
    assert level.cost_per_million_output_tokens == pytest.approx(10)
    answer = answer_cost(level, 3.6)
    assert answer is not None
    assert level.cost_per_thousand_answers == answer.price is not None
    assert (base.load[0].goodput_share.value, level.goodput_share.value) == (0, 1)


def test_a_variant_without_load_figures_stays_without_them(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path
) -> None:
    (tiny_run / "gguf-q8_0" / "load.json").unlink()
    _, mine = build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts").variants
    assert (mine.load, mine.memory_bytes) == ([], None)
    assert "t" in mine.quality


@pytest.mark.parametrize(("name", "stage"), [("load", "make loadtest"), ("quality", "make eval")])
def test_a_baseline_that_was_not_measured_names_the_stage_to_run(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path, name: str, stage: str
) -> None:
    (tiny_run / "bf16-vllm" / f"{name}.json").unlink()
    with pytest.raises(ComparisonError, match=stage):
        build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")


def test_a_damaged_file_is_named(tiny_plan: Plan, tiny_run: Path, tmp_path: Path) -> None:
    (tiny_run / "gguf-q8_0" / "quality.json").write_text('{"variant": 3}')
    with pytest.raises(ComparisonError, match=r"gguf-q8_0/quality\.json is damaged"):
        build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")
