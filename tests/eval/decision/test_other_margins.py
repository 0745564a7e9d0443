import re

from deploy.plan_sections import Objectives, Slo
from eval.decision.choice import choose
from eval.decision.other_margins import at_margins, other_margins
from eval.schema import VariantComparison
from tests.eval.report.builders import CPU_DEMO, comparison

OBJECTIVES = Objectives(slo=Slo(ttft_s=1.0, tpot_s=0.05), accuracy_margin=0.03)


def winner(accuracy_margin: float) -> str | None:
    objectives = OBJECTIVES.model_copy(update={"accuracy_margin": accuracy_margin})
    found = choose(at_margins(comparison(), accuracy_margin, 0.05), objectives).chosen
    return found.name if found else None


def test_the_margin_that_is_named_is_where_the_answer_changes() -> None:
    (line,) = (
        line
        for line in other_margins(comparison(), OBJECTIVES)
        if "or less" in line and "points" in line
    )
    named = re.fullmatch(r"With a margin of ([\d.]+) points or less (\S+) wins\.", line)
    assert named is not None
    assert winner(0.03) == "gguf-q4_k_m"
    margin = float(named[1]) / 100
    assert winner(0.97 * margin) == named[2] != "gguf-q4_k_m"
    assert winner(1.05 * margin) == "gguf-q4_k_m"


def test_the_same_margins_change_nothing() -> None:
    assert at_margins(comparison(), 0.03, 0.05).variants[0].quality["assay_choice"].verdict == (
        "equal_or_better"
    )
    one, other = (
        choose(it, OBJECTIVES).order for it in (comparison(), at_margins(comparison(), 0.03, 0.05))
    )
    assert [c.name for c in one] == [c.name for c in other]


def test_a_baseline_without_rivals_wins_at_every_margin() -> None:
    assert other_margins(comparison(CPU_DEMO[:1]), OBJECTIVES) == []


def test_where_a_margin_was_asked_until_it_was_proven_nothing_is_said_of_a_narrower_one() -> None:
    def proven(variant: VariantComparison) -> VariantComparison:
        quality = {
            task: result.model_copy(update={"stopped": "proven"})
            for task, result in variant.quality.items()
        }
        return variant.model_copy(update={"quality": quality})

    found = comparison()
    stopped = found.model_copy(update={"variants": [proven(it) for it in found.variants]})
    assert any("or less" in line for line in other_margins(found, OBJECTIVES))
    assert not any("or less" in line for line in other_margins(stopped, OBJECTIVES))
