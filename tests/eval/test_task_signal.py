"""A task on which the baseline guesses, fails or is perfect proves nothing, and is not counted.

covers: eval/task_signal.py, eval/decision/judging.py, eval/verdict_evidence.py
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from deploy.plan import Plan
from deploy.plan_sections import Objectives
from eval.comparison import COMPARISON_NAME, build_comparison
from eval.paired import compare_task
from eval.report.page import write_report
from eval.samples import Sample
from eval.schema import ComparisonFile, NoSignal, TaskComparison
from eval.task_score import TaskScore
from eval.task_signal import guessing, no_signal
from eval.terminal import render_terminal
from eval.verdict import decide
from tests.eval.report.builders import CPU_DEMO, comparison
from tests.eval.report.run_files import write_run
from tests.eval.report.test_page import Reader
from tests.eval.run_on_disk import answers, documents, write_quality

ACCURACY = TaskScore(metric="accuracy", value=0.5, items=1, details={})
OBJECTIVES = Objectives(accuracy_margin=0.03)
TASKS = ("assay_text", "assay_choice", "assay_words")


def choices(right: int, items: int, count: int = 4) -> list[Sample]:
    """Items with ``count`` choices each, whose right answers are all different words."""
    rows = answers("t", [True] * right + [False] * (items - right))
    return [replace(row, choices=count, target=f"word {row.item}") for row in rows]


def generated(right: int, items: int) -> list[Sample]:
    return answers("t", [True] * right + [False] * (items - right))


def kind(samples: list[Sample], *, anytime: bool = False) -> str | None:
    found = no_signal(samples, ACCURACY, 0.03, 0.95, anytime=anytime)
    return found.kind if found else None


def test_of_many_looks_at_a_guessing_baseline_none_is_lucky() -> None:
    """At every 100 of 1,200 items; such looks at the exact test find a signal in 15 of 100 runs."""
    right, wrong = choices(1200, 1200), choices(0, 1200)
    drawn = (np.random.default_rng(0).random((60, 1200)) < 0.25).cumsum(axis=1)

    def is_told(known: int, items: int) -> bool:
        samples = right[:known] + wrong[: items - known]
        return no_signal(samples, ACCURACY, 0.001, 0.95, anytime=True) is None

    looks = range(100, 1201, 100)
    assert sum(any(is_told(int(row[n - 1]), n) for n in looks) for row in drawn) <= 3
    assert kind(choices(300, 500), anytime=True) is None


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (generated(0, 500), "at_zero"),
        (generated(500, 500), "at_ceiling"),
        # Half of 6 % is the margin: two models that are so often wrong agree whatever one lost.
        (generated(30, 500), "within_margin"),
        (generated(31, 500), None),
        (choices(0, 500), "at_zero"),
        # The least number that the exact test tells from 125 of 500 at 5 % is 142.
        (choices(141, 500), "at_chance"),
        (choices(142, 500), "within_margin"),
        (choices(156, 500), None),
        (choices(100, 500), "at_chance"),
        (choices(142, 500, count=2), "at_chance"),
        # 27.5 of 100 is far beyond chance over 5,000 items, and all of it within the margin.
        (choices(1375, 5000), "within_margin"),
        (choices(6, 12), "at_chance"),
    ],
)
def test_answers_prove_something_only_well_above_guessing(
    samples: list[Sample], expected: str | None
) -> None:
    assert kind(samples) == expected


def test_always_the_same_answer_is_guessing_too() -> None:
    yes_or_no = [
        replace(row, target="yes" if row.item % 5 else "no")
        for row in choices(right=400, items=500, count=2)
    ]
    assert guessing(yes_or_no) == 0.8
    assert kind(yes_or_no) == "at_chance"
    assert kind(choices(right=400, items=500, count=2)) is None


def test_choices_of_different_numbers_are_guessed_at_their_mean() -> None:
    assert guessing([*choices(0, 10, count=2), *choices(0, 10, count=5)]) == pytest.approx(0.35)


def nll_score(**details: float) -> TaskScore:
    return TaskScore(metric="nll_per_token", value=1.0, items=20, details=details)


@pytest.mark.parametrize(
    ("nats_per_token", "vocabulary", "expected"),
    [
        (3.0, 32000.0, None),
        (10.5, 32000.0, "at_chance"),
        (math.log(32000) - 0.04, 32000.0, "within_margin"),
        # 4 bytes a token: uniform bytes cost 22.2 nats.
        (10.5, None, None),
        (22.3, None, "at_chance"),
        # A byte-level vocabulary cannot excuse what uniform bytes would beat.
        (22.3, 1e12, "at_chance"),
    ],
)
def test_a_likelihood_no_better_than_any_token_at_random_proves_nothing(
    nats_per_token: float, vocabulary: float | None, expected: str | None
) -> None:
    spread = 0.005 if expected == "within_margin" else 0.5
    samples = documents(
        "t", [100 * (nats_per_token + spread * (-1) ** place) for place in range(20)]
    )
    score = nll_score(**({"vocabulary": vocabulary} if vocabulary else {}))
    found = no_signal(samples, score, 0.05, 0.95)
    assert (found.kind if found else None) == expected


def silent_kind(kind: Literal["at_zero", "at_ceiling"]) -> NoSignal:
    return NoSignal(kind=kind, chance=0.0, baseline=float(kind == "at_ceiling"))


def test_nothing_against_nothing_is_never_equal_or_better() -> None:
    none = generated(0, 500)
    found = compare_task(none, none, ACCURACY, OBJECTIVES, None, silent_kind("at_zero"))
    assert found.verdict == "no_signal"
    assert compare_task(none, none, ACCURACY, OBJECTIVES, None).verdict == "equal_or_better"


@pytest.mark.parametrize(("right", "verdict"), [(500, "no_signal"), (400, "worse")])
def test_from_all_right_only_a_loss_shows(right: int, verdict: str) -> None:
    found = compare_task(
        generated(right, 500),
        generated(500, 500),
        ACCURACY,
        OBJECTIVES,
        None,
        silent_kind("at_ceiling"),
    )
    assert found.verdict == verdict


def silenced(found: ComparisonFile, *tasks: str) -> ComparisonFile:
    """The same comparison, whose baseline answers nothing of these tasks."""

    def silent(task: str, result: TaskComparison) -> TaskComparison:
        changes = {"verdict": "no_signal", "no_signal": silent_kind("at_zero")}
        return result.model_copy(update=changes) if task in tasks else result

    variants = [
        v.model_copy(update={"quality": {t: silent(t, r) for t, r in v.quality.items()}})
        for v in found.variants
    ]
    return found.model_copy(update={"variants": variants})


def test_a_task_without_signal_neither_counts_nor_is_passed_over_in_silence() -> None:
    verdict = decide(silenced(comparison(), "assay_words"), OBJECTIVES)
    assert verdict.outcome == "recommended"
    assert not any("assay_words" in reason for reason in verdict.reasons)
    assert (
        "assay_words: no signal: the baseline answers none of 600 items right; it proves nothing "
        "and is not counted." in verdict.caveats
    )


@pytest.mark.parametrize("sketches", [CPU_DEMO, CPU_DEMO[:1]])
def test_without_any_signal_there_is_not_enough_evidence_not_even_for_the_baseline(
    sketches: tuple[object, ...],
) -> None:
    found = silenced(comparison(CPU_DEMO[: len(sketches)]), *TASKS)
    verdict = decide(found, OBJECTIVES)
    assert (verdict.outcome, verdict.variant) == ("not_enough_evidence", None)
    assert not any(ranked.passes for ranked in verdict.ranking)
    assert "no task has signal" in verdict.sentence
    assert verdict.smallest_passing is None


def test_a_loss_on_a_task_without_signal_does_not_disqualify() -> None:
    only_words = silenced(comparison(), "assay_text", "assay_choice")
    ranked = {r.variant: r for r in decide(only_words, OBJECTIVES).ranking}
    assert [reason.task for reason in ranked["gguf-q2_k"].failed] == ["assay_words"]


def test_the_terminal_marks_what_has_no_signal() -> None:
    found = silenced(comparison(), "assay_words")
    text = render_terminal(found, decide(found, OBJECTIVES))
    assert "70.2 (-0.2)#" in text
    assert "# no signal: proves nothing" in text


def test_a_run_whose_baseline_answers_nothing_is_not_proven(
    tiny_plan: Plan, tiny_run: Path, tmp_path: Path
) -> None:
    none = answers("t", [False] * 500)
    for name in ("bf16-vllm", "gguf-q8_0"):
        write_quality(tiny_run / name, name, none)
    write_quality(tiny_run / "bf16-vllm", "bf16-vllm", none, suffix="-repeat")
    found = build_comparison(tiny_run, tiny_plan, artifacts=tmp_path / "artifacts")
    assert {v.quality["t"].verdict for v in found.variants} == {"no_signal"}
    assert decide(found, tiny_plan.objectives).outcome == "not_enough_evidence"
    saved = ComparisonFile.model_validate_json((tiny_run / COMPARISON_NAME).read_bytes())
    assert saved == found


def test_the_page_says_which_task_has_no_signal_and_why(tmp_path: Path) -> None:
    found = silenced(comparison(), "assay_words")
    page = write_run(tmp_path, found, decide(found, OBJECTIVES))
    words = Reader(write_report(page).read_text()).words
    assert sum("the baseline answers none of 600 items right" in text for text in words) >= 3
    # In the decision's table and in that of the flips, for every variant but the baseline.
    assert words.count("no signal") == 2 * (len(CPU_DEMO) - 1)
