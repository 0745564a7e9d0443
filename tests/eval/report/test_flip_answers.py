"""The answers that flipped can be read on the page, and every sentence leads to its figures.

covers: eval/report/record_links.py, eval/report/validity_table.py, eval/report/cost_table.py,
eval/report/reproduce.py
"""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

from deploy.plan_sections import Objectives
from eval.report.flip_answers import LEAST_SHOWN, MOST_FLIPS, flipped, read_flips
from eval.report.page import write_report
from eval.samples import Sample, write_samples
from eval.schema import ComparisonFile
from eval.verdict import decide
from loadtest.intervals import Estimate
from tests.eval.report import builders, run_files
from tests.eval.run_on_disk import BASE, answers
from tests.eval.run_on_disk import flipped as turned

Q4, BF16 = "gguf-q4_k_m", "bf16-vllm"
HOSTILE = "</ol><script>alert(1)</script>"


def told(right: list[bool], words: str = "four") -> list[Sample]:
    return [
        replace(it, prompt=f"What is 2 + 2? {HOSTILE}", answer=words if it.correct else "5")
        for it in answers("assay_words", right)
    ]


def write(folder: Path, variant: str, samples: list[Sample]) -> None:
    (folder / variant).mkdir(parents=True, exist_ok=True)
    write_samples(folder / variant / "samples.parquet", samples)


def page_of(folder: Path, found: ComparisonFile) -> str:
    verdict = decide(found, Objectives())
    run_files.write_run(folder, found, verdict)
    return write_report(folder).read_text()


def test_flips_are_the_items_that_one_alone_got_right_losses_first() -> None:
    mine, theirs = told([True, False, False, True]), told([False, True, False, True])
    assert [(one.item, one.correct) for one, _ in flipped(mine, theirs)] == [(1, False), (0, True)]


def test_other_questions_never_pair() -> None:
    other = [replace(it, prompt_sha256="other") for it in told([True])]
    assert flipped(told([False]), other) == []


def test_of_many_flips_both_directions_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    write(tmp_path, BF16, told(BASE))
    write(tmp_path, Q4, told(turned(BASE, to_wrong=600, to_right=100)))
    [group] = read_flips(tmp_path, BF16, [BF16, Q4])
    assert (group.to_wrong, group.to_right, len(group.shown)) == (600, 100, MOST_FLIPS)
    assert 0 < sum(not it.to_wrong for it in group.shown) <= 100


def test_many_variants_share_the_room_and_each_shows_some(tmp_path: Path) -> None:
    names = [f"v{number}" for number in range(100)]
    base = [True] * 12 + [False] * 12
    write(tmp_path, BF16, told(base))
    for name in names:
        write(tmp_path, name, told(turned(base, to_wrong=9, to_right=9)))
    groups = read_flips(tmp_path, BF16, names)
    assert {len(group.shown) for group in groups} == {LEAST_SHOWN}


def test_a_name_that_is_no_folder_and_a_damaged_file_have_no_flips(tmp_path: Path) -> None:
    write(tmp_path / "run", BF16, told(BASE))
    write(tmp_path, "beside", told([False] * 1000))
    (tmp_path / "run" / Q4).mkdir()
    (tmp_path / "run" / Q4 / "samples.parquet").write_text("no parquet")
    assert read_flips(tmp_path / "run", BF16, [Q4, "../beside"]) == ()


def test_the_page_shows_question_and_both_answers_as_text(tmp_path: Path) -> None:
    write(tmp_path, BF16, told(BASE))
    write(tmp_path, Q4, told(turned(BASE, to_wrong=12, to_right=3)))
    page = page_of(tmp_path, builders.comparison())
    assert f"<strong>{Q4}</strong> on assay_words: 12 right to wrong, 3 wrong to right" in page
    assert page.count("<blockquote>") == 15
    assert HOSTILE not in page
    assert HOSTILE in unescape(page)


def test_what_became_of_an_answer_is_said_where_it_is_more_than_wrong(tmp_path: Path) -> None:
    write(tmp_path, BF16, told([True, True]))
    mine = told([False, False])
    write(tmp_path, Q4, [replace(mine[0], outcome="looping"), replace(mine[1], outcome="wrong")])
    [group] = read_flips(tmp_path, BF16, [Q4])
    assert [it.became for it in group.shown] == ["looping", ""]


def test_every_link_of_a_sentence_leads_to_a_place_of_the_page(tmp_path: Path) -> None:
    write(tmp_path, BF16, told(BASE))
    write(tmp_path, Q4, told(turned(BASE, to_wrong=12, to_right=3)))
    page = page_of(tmp_path, builders.comparison())
    targets = set(re.findall(r'class="record" href="#([^"]+)"', page))
    assert targets
    assert targets <= set(re.findall(r'id="([^"]+)"', page))
    assert any(target.startswith("flips-") for target in targets)


def test_stamps_say_what_does_not_hold_and_why(tmp_path: Path) -> None:
    found = builders.comparison()
    first, second, *rest = found.variants
    last = second.load[2].model_copy(update={"errors": 3, "void": ["other programs used 40 %"]})
    broken = second.model_copy(update={"load": [*second.load[:2], last], "saturated_client": True})
    page = page_of(tmp_path, found.model_copy(update={"variants": [first, broken, *rest]}))
    stamps = page.split('aria-label="Stamps of validity"')[1].split("</table>")[0]
    row = next(it for it in stamps.split("<tr") if second.variant in it)
    assert "3 requests failed" in row
    assert "other programs used 40 %" in row
    assert "the load generator itself was the limit" in row
    assert stamps.count("<tr") == 1 + len(found.variants)


def test_the_cost_of_an_answer_and_how_to_repeat_the_run_stand_on_the_page(tmp_path: Path) -> None:
    found = builders.comparison()
    variants = [
        it.model_copy(
            update={
                "load": [
                    level.model_copy(update={"request_per_s": Estimate(value=6.4)})
                    for level in it.load
                ]
            }
        )
        for it in found.variants
    ]
    page = page_of(tmp_path, found.model_copy(update={"variants": variants}))
    assert "2 min 36 s" in page.split('aria-label="Cost of an answer"')[1].split("</table>")[0]
    assert "git checkout dba0b39" in page
    assert f"results/{found.run}/plan.yaml" in page
