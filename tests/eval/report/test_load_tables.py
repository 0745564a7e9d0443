"""What the page and the terminal say of loads beyond the compared one."""

import math
from pathlib import Path

from deploy.plan import load_plan
from eval.decision.judging import judge
from eval.report.page import write_report
from eval.schema import ComparisonFile, VerdictFile
from eval.terminal import render_terminal
from loadtest.contamination import Contaminated
from loadtest.intervals import Estimate
from loadtest.ramp import Ramp
from loadtest.summary import Answers, Part, Stalls
from loadtest.sweep import Sweep
from tests.eval.report import builders, verdicts
from tests.eval.report.run_files import write_run

FOUND, VERDICT = builders.comparison(), verdicts.recommended()


def told() -> tuple[ComparisonFile, VerdictFile]:
    """The compared loads as they are, and two that decide nothing."""
    variants = []
    for variant in FOUND.variants:
        usual = variant.load[-1]
        late = {
            "p50": Estimate(value=0.777),
            "p99": Estimate(value=math.inf, low=2.0, high=math.inf),
        }
        stressed = usual.model_copy(
            update={
                "point": Contaminated(usual.point.amount),
                "ttft_s": late,
                "errors": 3,
                "void": ["other programs used up to 50 % of the processors"],
            }
        )
        part = Part(
            name="4 to 11 /s",
            requests=40,
            errors=1,
            prompt_tokens=128.0,
            ttft_p50_s=0.0432,
            e2e_p50_s=None,
        )
        ramp = usual.model_copy(update={"point": Ramp(20), "parts": (part,)})
        measured = {
            "gap_s": {"p50": Estimate(value=0.0213), "p99.9": Estimate(value=0.911)},
            "stalls": Stalls(limit_s=0.5, requests=7, longest_s=2.03),
            "answers": Answers(tokens=Estimate(value=47.3, low=40.0, high=55.0), ended_share=0.83),
            "cost_per_thousand_answers": 0.0613,
        }
        load = [level.model_copy(update=measured) for level in variant.load]
        variants.append(variant.model_copy(update={"load": load, "stress": [stressed, ramp]}))
    return FOUND.model_copy(update={"variants": variants}), VERDICT


def test_the_page_tells_stress_parts_answers_gaps_and_stalls(tmp_path: Path) -> None:
    page = write_report(write_run(tmp_path / "run", *told())).read_text()
    for words in (
        "Under stress",
        "streams with runaway requests",
        "void: other programs used up to 50 %",
        "777 ms",
        "∞ s",
        "The parts of a load",
        "4 to 11 /s",
        "43.2 ms",
        "too few requests, or half of them failed",
        "Answers of natural length",
        "47.3",
        "83 %",
        "0.0613",
        "Gaps and stalls",
        "911 ms",
        "2.03 s",
        "of at least 500 ms",
    ):
        assert words in page, words
    assert "infinity" not in page.lower()
    assert "TTFO" not in page.split("Gaps and stalls")[1].split("</table>")[0]


def test_a_run_without_them_has_none_of_these_tables(tmp_path: Path) -> None:
    page = write_report(write_run(tmp_path / "run", FOUND, VERDICT)).read_text()
    for words in (
        "Under stress",
        "The parts of a load",
        "Answers of natural length",
        "more streams",
    ):
        assert words not in page


def test_the_first_output_after_reasoning_has_a_column_where_there_was_any(tmp_path: Path) -> None:
    found, verdict = told()
    thought = {"ttfo_s": {"p50": Estimate(value=1.234)}}
    variants = [
        v.model_copy(update={"load": [it.model_copy(update=thought) for it in v.load]})
        for v in found.variants
    ]
    page = write_report(
        write_run(tmp_path / "run", found.model_copy(update={"variants": variants}), verdict)
    ).read_text()
    table = page.split("Gaps and stalls")[1].split("</table>")[0]
    assert "TTFO p50" in table
    assert "1.23 s" in table


def swept() -> ComparisonFile:
    variants = []
    for variant in FOUND.variants:
        usual = variant.load[-1]
        steps = [
            usual.model_copy(
                update={"point": Sweep(streams), "output_tok_per_s": Estimate(value=speed)}
            )
            for streams, speed in ((1, 100.0), (2, 180.0), (4, 296.0), (8, 300.0), (16, 290.0))
        ]
        variants.append(variant.model_copy(update={"load": steps}))
    return FOUND.model_copy(update={"variants": variants})


def test_a_sweep_says_where_each_variant_is_saturated(tmp_path: Path) -> None:
    page = write_report(write_run(tmp_path / "run", swept(), VERDICT)).read_text()
    assert "Where more streams bring no more" in page
    assert "4 streams" in page
    name = FOUND.variants[0].variant
    assert f"saturated, in streams: {name} at 4" in render_terminal(swept(), VERDICT, width=90)


def test_the_terminal_shows_what_is_held_of_the_gpu_where_one_was_used() -> None:
    first, *rest = FOUND.variants
    held = first.model_copy(update={"gpu_memory_bytes": 22_737_321_984})
    found = FOUND.model_copy(update={"variants": [held, *rest]})
    lines = render_terminal(found, VERDICT, width=90).splitlines()
    (header,) = (line for line in lines if "memory" in line)
    assert "on GPU" in header
    assert len([line for line in lines if "21,684" in line]) == 1
    assert "on GPU" not in render_terminal(FOUND, VERDICT, width=90)


def test_the_terminal_has_a_row_for_each_load_under_stress() -> None:
    text = render_terminal(*told(), width=90)
    rows = [line for line in text.splitlines() if "a ramp to 20 requests a second" in line]
    assert len(rows) == len(FOUND.variants)
    assert any("runaway requests" in line and line.endswith(" 3") for line in text.splitlines())
    assert "under stress" not in render_terminal(FOUND, VERDICT, width=90)


def test_speed_under_stress_changes_no_verdict_and_a_ramp_alone_decides_nothing() -> None:
    objectives = load_plan("cpu-demo").objectives
    found, _ = told()
    before = [judge(v, FOUND, objectives) for v in FOUND.variants]
    after = [judge(v, found, objectives) for v in found.variants]
    assert [(it.failed, it.undecided, it.score) for it in after] == [
        (it.failed, it.undecided, it.score) for it in before
    ]
    ramps = FOUND.model_copy(
        update={
            "variants": [
                v.model_copy(update={"load": [v.load[-1].model_copy(update={"point": Ramp(5)})]})
                for v in FOUND.variants
            ]
        }
    )
    judged = [judge(v, ramps, objectives.model_copy(update={"load": None})) for v in ramps.variants]
    assert all("decides nothing" in it.undecided[-1].words for it in judged)
