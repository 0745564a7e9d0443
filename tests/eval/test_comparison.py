from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deploy.plan import Objectives, Plan
from eval.attribution import attribute, unquantized_sibling
from eval.comparison import COMPARISON_NAME, build_comparison
from eval.measured import ComparisonError
from eval.paired import compare_task, difference, noise_floor
from eval.samples import pair
from eval.schema import ComparisonFile, TaskScore
from tests.eval.report import builders
from tests.eval.run_on_disk import BASE, answers, documents, flipped

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
    interval = difference(pairs, 0.95).interval
    assert interval is not None
    assert interval.high - interval.low == pytest.approx(0, abs=1e-9)


def test_the_noise_floor_is_what_two_passes_differ_by() -> None:
    first, second = answers("t", BASE), answers("t", flipped(BASE, 9, 4))
    assert noise_floor(first, second) == pytest.approx(0.005)
    assert noise_floor(first, []) is None


def test_variants_without_a_common_item_are_not_compared() -> None:
    mine = [replace(sample, item=sample.item + 5000) for sample in answers("t", BASE)]
    with pytest.raises(ValueError, match="share no item"):
        compare_task(mine, answers("t", BASE), ACCURACY, Objectives(), None)


def test_engine_and_recipe_shares_add_up_and_multiply() -> None:
    found = builders.comparison()
    shares = attribute(found.variants, "bf16-vllm", 16)
    assert set(shares) == {"gguf-q8_0", "gguf-q4_k_m", "gguf-q2_k"}
    q2 = next(v for v in found.variants if v.variant == "gguf-q2_k")
    difference_ = q2.quality["assay_choice"].difference
    assert difference_ is not None
    mine = shares["gguf-q2_k"]
    assert mine["assay_choice_engine"] + mine["assay_choice_recipe"] == pytest.approx(
        difference_.value
    )
    assert mine["speed_ratio_engine"] * mine["speed_ratio_recipe"] == pytest.approx(
        q2.load[-1].output_tok_per_s_ratio.value
    )


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
    assert mine.quality["t"].noise_floor == pytest.approx(0.002)
    assert mine.quality["t"].flips is not None
    assert mine.quality["t"].flips.to_wrong == 6


def test_speed_is_a_ratio_with_goodput_and_cost(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path
) -> None:
    base, mine = build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts").variants
    assert base.load[0].output_tok_per_s_ratio.value == pytest.approx(1)
    level = mine.load[0]
    assert level.output_tok_per_s_ratio.value == pytest.approx(2)
    assert level.output_tok_per_s.value == pytest.approx(100)
    # 3.6 an hour at 100 tokens per second: 10 for a million tokens.
    assert level.cost_per_million_output_tokens == pytest.approx(10)
    assert (base.load[0].goodput_share, level.goodput_share) == (0, 1)


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
