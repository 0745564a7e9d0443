"""One decision: who passes among all, who is best, and in which order the others follow.

covers: eval/decision/judging.py, eval/decision/misses.py, eval/decision/ranking.py,
eval/decision/told_apart.py
"""

from typing import Any

import pytest

from deploy.plan_sections import Objectives, Slo
from eval.decision.choice import choose
from eval.decision.misses import worst_miss
from eval.schema import ComparisonFile, VariantComparison
from eval.verdict import decide
from loadtest.intervals import Estimate
from tests.eval.report.builders import CPU_DEMO, comparison, share

OBJECTIVES = Objectives(slo=Slo(ttft_s=1.0, tpot_s=0.05), accuracy_margin=0.03)


def of(found: ComparisonFile, name: str) -> VariantComparison:
    return next(v for v in found.variants if v.variant == name)


def changed(found: ComparisonFile, name: str, **changes: Any) -> ComparisonFile:
    variants = [v.model_copy(update=changes) if v.variant == name else v for v in found.variants]
    return found.model_copy(update={"variants": variants})


def with_load(found: ComparisonFile, name: str, **changes: Any) -> ComparisonFile:
    load = [level.model_copy(update=changes) for level in of(found, name).load]
    return changed(found, name, load=load)


def names(found: ComparisonFile, objectives: Objectives = OBJECTIVES) -> list[str]:
    return [c.name for c in choose(found, objectives).order]


def test_a_ruined_variant_is_last_however_fast_it_is() -> None:
    found = comparison()
    for name in ("gptq-int4-g128-vllm", "awq-int4-g128-vllm", "gguf-q4_k_m"):
        found = with_load(found, name, goodput_share=share(0.85))
    fast = Estimate(value=99.0, low=98.0, high=100.0)
    found = with_load(found, "gguf-q2_k", goodput_per_s=fast)
    assert names(found)[-1] == "gguf-q2_k"


def test_losers_are_ordered_by_how_much_they_miss_and_not_by_speed() -> None:
    found = comparison()
    for name, met in (("gguf-q8_0", 0.70), ("gguf-bf16", 0.85), ("gguf-q4_k_m", 0.80)):
        found = with_load(found, name, goodput_share=share(met))
    order = [n for n in names(found) if n in {"gguf-q8_0", "gguf-bf16", "gguf-q4_k_m"}]
    assert order == ["gguf-bf16", "gguf-q4_k_m", "gguf-q8_0"]


def test_an_undecided_variant_that_looks_bad_follows_one_that_looks_good() -> None:
    found = comparison()
    wide = Estimate(value=-0.2, low=-0.5, high=0.1)
    quality = dict(of(found, "gguf-q8_0").quality)
    quality["assay_choice"] = quality["assay_choice"].model_copy(
        update={"difference": wide, "verdict": "undecided", "flips": None}
    )
    found = changed(found, "gguf-q8_0", quality=quality)
    order = names(found)
    assert order.index("gptq-int4-g128-vllm") < order.index("gguf-q8_0")
    assert order.index("gguf-q8_0") < order.index("gguf-q2_k")


@pytest.mark.parametrize("left", [("gguf-q4_k_m",), ("bf16-vllm", "gguf-q2_k")])
def test_an_emulated_variant_heads_no_verdict_about_serving(left: tuple[str, ...]) -> None:
    found = comparison()
    for variant in found.variants:
        if variant.variant not in left:
            found = changed(found, variant.variant, engine="transformers")
    for name in left:
        found = with_load(found, name, goodput_share=share(0.5))
    choice = choose(found, OBJECTIVES)
    assert choice.outcome == "none_qualifies"
    assert {c.name for c in choice.order[: len(left)]} == set(left)
    sentence = decide(found, OBJECTIVES).sentence
    assert any(name in sentence for name in left)


def test_where_all_are_emulated_the_verdict_is_about_them() -> None:
    found = comparison()
    for variant in found.variants:
        found = changed(found, variant.variant, engine="transformers")
    choice = choose(found, OBJECTIVES)
    assert choice.outcome == "not_enough_evidence"
    assert choice.rivals


def weakly_proven(found: ComparisonFile, name: str) -> ComparisonFile:
    """Within the margin by its own interval, with p = 0.02."""
    loss = 0.03 - 2.054 * 0.005
    near = Estimate(value=-loss, low=-loss - 1.96 * 0.005, high=-loss + 1.96 * 0.005)
    quality = dict(of(found, name).quality)
    quality["assay_choice"] = quality["assay_choice"].model_copy(
        update={"difference": near, "verdict": "equal_or_better", "flips": None}
    )
    return changed(found, name, quality=quality)


def test_what_is_proven_alone_is_not_proven_among_many() -> None:
    alone = comparison(tuple(s for s in CPU_DEMO if s.name in {"bf16-vllm", "gguf-q4_k_m"}))
    alone = weakly_proven(alone, "gguf-q4_k_m")
    assert choose(alone, OBJECTIVES).best.name == "gguf-q4_k_m"  # type: ignore[union-attr]
    many = weakly_proven(comparison(), "gguf-q4_k_m")
    choice = choose(many, OBJECTIVES)
    (reason,) = next(c for c in choice.order if c.name == "gguf-q4_k_m").undecided
    assert reason.objective == "together"
    assert reason.words.startswith("proven by itself (p = 0.02), but 6 variants are compared")
    assert choice.best is not None
    assert choice.best.name == "gguf-q8_0"


def test_the_baseline_is_no_part_of_the_family_that_it_defines() -> None:
    choice = choose(comparison(), OBJECTIVES)
    assert next(c for c in choice.order if c.name == "bf16-vllm").passes


def test_a_miss_is_counted_in_what_is_allowed() -> None:
    found = comparison()
    ruined = of(found, "gguf-q2_k")
    level = ruined.load[-1]
    assert worst_miss(ruined, level, OBJECTIVES) == pytest.approx(0.71 / 0.05)
    late = level.model_copy(update={"goodput_share": share(0.9)})
    fine = of(found, "gguf-q8_0")
    assert worst_miss(fine, late, OBJECTIVES) == pytest.approx(2.0)
    bounded = OBJECTIVES.model_copy(update={"memory_gib": 0.1})
    assert worst_miss(fine, level, bounded) == pytest.approx(206 / 102.4)
