"""Two runs side by side: what changed is found, what cannot be compared is said.

covers: eval/two_runs/kept_run.py, eval/two_runs/settings.py
"""

from pathlib import Path

import pytest

from eval.schema import NoSignal
from eval.two_runs.change_file import Change, ChangeFile
from eval.two_runs.compared import compare_runs
from eval.two_runs.judged import outcome_of
from eval.two_runs.kept_run import KeptRun, KeptRunError, find_run
from tests.eval.report import builders
from tests.eval.run_on_disk import BASE, flipped
from tests.eval.two_runs import runs

Q8 = "gguf-q8_0"
GUESSES = NoSignal(kind="at_chance", chance=0.25, baseline=0.25)


def compared(before: Path, after: Path) -> ChangeFile:
    return compare_runs(KeptRun(before), KeptRun(after))


def of(told: ChangeFile, variant: str, metric: str, place: str = "") -> Change:
    return next(
        it
        for it in told.changes
        if (it.variant, it.metric) == (variant, metric) and place in ("", it.place)
    )


def test_a_run_against_itself_changed_in_nothing(tmp_path: Path) -> None:
    run = runs.write(tmp_path / "a")
    told = compared(run, run)
    assert told.outcome == "not_worse"
    assert {it.finding for it in told.changes} == {"same", "undecided", "not_judged"}
    assert {it.metric for it in told.changes if it.finding == "not_judged"} == {"memory_bytes"}
    assert all(it.finding == "same" for it in told.changes if it.task)
    assert told.settings == []
    assert of(told, Q8, "accuracy").paired


def test_answers_that_turned_wrong_are_seen_item_by_item(tmp_path: Path) -> None:
    worse = {Q8: runs.asked(flipped(BASE, to_wrong=45, to_right=5))}
    told = compared(runs.write(tmp_path / "a"), runs.write(tmp_path / "b", samples=worse))
    found = of(told, Q8, "accuracy", "assay_words")
    assert (found.finding, found.paired, found.units) == ("worse", True, 1000)
    assert found.change.value == pytest.approx(-0.04)
    assert told.outcome == "worse"
    assert of(told, "bf16-vllm", "accuracy", "assay_words").finding == "same"


def test_items_of_another_draw_are_compared_as_two_samples(tmp_path: Path) -> None:
    other = {name: runs.reworded(runs.asked()) for name in runs.NAMES}
    after = runs.write(tmp_path / "b", samples=other, plan={"quality": {"seed": 1}})
    found = of(compared(runs.write(tmp_path / "a"), after), Q8, "accuracy", "assay_words")
    assert not found.paired
    assert found.p_value is not None


def test_other_questions_of_the_same_seed_are_not_judged(tmp_path: Path) -> None:
    other = {name: runs.reworded(runs.asked()) for name in runs.NAMES}
    after = runs.write(tmp_path / "b", samples=other)
    found = of(compared(runs.write(tmp_path / "a"), after), Q8, "accuracy", "assay_words")
    assert found.finding == "not_judged"
    assert "its questions are others" in found.why


def test_a_change_below_the_noise_floor_is_none(tmp_path: Path) -> None:
    comparison = runs.with_rounds(builders.comparison(runs.TWO))
    q8 = next(v for v in comparison.variants if v.variant == Q8)
    noisy = {
        task: result.model_copy(update={"noise_floor": 0.05}) for task, result in q8.quality.items()
    }
    found = runs.changed(comparison, Q8, quality=noisy)
    worse = {Q8: runs.asked(flipped(BASE, to_wrong=45, to_right=5))}
    after = runs.write(tmp_path / "b", found, worse)
    told = compared(runs.write(tmp_path / "a"), after)
    assert of(told, Q8, "accuracy", "assay_words").finding == "undecided"


def test_a_slower_engine_is_seen_and_a_drift_within_the_tolerance_is_not(tmp_path: Path) -> None:
    before = runs.write(tmp_path / "a")
    slower, drifted = (
        runs.write(tmp_path / name, runs.with_rounds(builders.comparison(runs.TWO), speed))
        for name, speed in (("slower", 0.85), ("drifted", 0.97))
    )
    found = of(compared(before, slower), Q8, "output_tok_per_s", "16 streams")
    assert found.finding == "worse"
    assert found.change.value == pytest.approx(0.85)
    assert of(compared(before, drifted), Q8, "output_tok_per_s", "16 streams").finding == "same"


@pytest.mark.parametrize(
    ("section", "key", "value", "metric"),
    [
        ("load", "output_tokens", 128, "output_tok_per_s"),
        ("quality", "num_fewshot", 5, "accuracy"),
    ],
)
def test_what_asks_for_other_work_is_not_judged(
    tmp_path: Path, section: str, key: str, value: int, metric: str
) -> None:
    after = runs.write(tmp_path / "b", plan={section: {key: value}})
    told = compared(runs.write(tmp_path / "a"), after)
    found = of(told, Q8, metric)
    assert (found.finding, found.p_value) == ("not_judged", None)
    assert f"{section}.{key} is {value}" in found.why
    assert [it.name for it in told.settings] == [f"{section}.{key}"]


def test_what_the_server_was_told_is_a_cause_and_is_judged(tmp_path: Path) -> None:
    slower = runs.with_rounds(builders.comparison(runs.TWO), 0.8)
    after = runs.write(tmp_path / "b", slower, plan={"serving": {"max_sequences": 4}})
    told = compared(runs.write(tmp_path / "a"), after)
    assert of(told, Q8, "output_tok_per_s").finding == "worse"
    assert [(it.name, it.before, it.after) for it in told.settings] == [
        ("serving.max_sequences", "16", "4")
    ]


def test_margins_are_a_cause_only_where_questions_end_by_them(tmp_path: Path) -> None:
    other: dict[str, dict[str, object]] = {"objectives": {"accuracy_margin": 0.1}}
    early: dict[str, dict[str, object]] = {"quality": {"stop_early": True}}
    runs.write(tmp_path / "a")
    runs.write(tmp_path / "b", plan=other)
    runs.write(tmp_path / "c", plan=early)
    runs.write(tmp_path / "d", plan=other | early)
    whole = compared(tmp_path / "a", tmp_path / "b")
    ended = compared(tmp_path / "c", tmp_path / "d")
    assert whole.settings == []
    assert [it.name for it in ended.settings] == ["objectives.accuracy_margin"]


def test_answers_that_were_not_kept_are_not_judged(tmp_path: Path) -> None:
    after = runs.write(tmp_path / "b", samples={Q8: runs.asked()[:900]})
    told = compared(runs.write(tmp_path / "a"), after)
    assert of(told, Q8, "accuracy", "assay_choice").why == "the answers of one run were not kept"
    assert of(told, Q8, "accuracy", "assay_words").units == 900


def test_void_speeds_are_not_judged(tmp_path: Path) -> None:
    void = runs.changed(
        runs.with_rounds(builders.comparison(runs.TWO), 0.5), Q8, void=["other programs"]
    )
    told = compared(runs.write(tmp_path / "a"), runs.write(tmp_path / "b", void))
    found = of(told, Q8, "output_tok_per_s")
    assert (found.finding, found.why) == ("void", "void now: other programs")
    assert of(told, "bf16-vllm", "output_tok_per_s").finding == "worse"


def test_disturbed_speeds_hide_what_they_hide(tmp_path: Path) -> None:
    void = runs.changed(runs.with_rounds(builders.comparison(runs.TWO)), Q8, void=["others"])
    told = compared(runs.write(tmp_path / "a"), runs.write(tmp_path / "b", void))
    assert told.outcome == "void"
    assert told.sentence.startswith("Void: 5 figures were disturbed")


def test_heavier_weights_are_worse_and_memory_is_only_told(tmp_path: Path) -> None:
    comparison = runs.with_rounds(builders.comparison(runs.TWO))
    heavy = runs.changed(comparison, Q8, weight_bytes=48_000_000, memory_bytes=2 << 30)
    told = compared(runs.write(tmp_path / "a"), runs.write(tmp_path / "b", heavy))
    assert of(told, Q8, "weight_bytes").finding == "worse"
    assert of(told, Q8, "memory_bytes").finding == "not_judged"


def test_machine_engine_and_revision_that_differ_are_named(tmp_path: Path) -> None:
    after = runs.write(tmp_path / "b", cpu="Other", git_revision="fff", versions={"vllm": "0.12.0"})
    told = compared(runs.write(tmp_path / "a"), after)
    found = {(it.kind, it.name): it.after for it in told.settings}
    assert found["machine", "cpu"] == "Other"
    assert found["software", "Assay's revision"] == "fff"
    assert found["software", "vllm"] == "0.12.0"
    assert found["software", "ray"] is None
    assert "The machines differ" in told.caveats[0]


def test_a_variant_of_one_run_alone_is_named(tmp_path: Path) -> None:
    comparison = runs.with_rounds(builders.comparison(runs.TWO))
    fewer = comparison.model_copy(
        update={"variants": comparison.variants[:1], "failed": {Q8: "it crashed"}}
    )
    told = compared(runs.write(tmp_path / "a"), runs.write(tmp_path / "b", fewer))
    assert told.left_out == {Q8: "not measured now: it crashed"}


def test_runs_without_a_common_variant_are_refused(tmp_path: Path) -> None:
    comparison = builders.comparison(runs.TWO)
    other = comparison.model_copy(update={"variants": [comparison.variants[1]], "baseline": Q8})
    first = comparison.model_copy(update={"variants": comparison.variants[:1]})
    with pytest.raises(KeptRunError, match="share no variant"):
        compared(runs.write(tmp_path / "a", first), runs.write(tmp_path / "b", other))


def test_a_folder_that_is_no_run_is_told_with_the_remedy(tmp_path: Path) -> None:
    runs.write(tmp_path / "results" / "mine")
    with pytest.raises(KeptRunError, match=r"other: no such run; in results/ there are mine"):
        find_run("other", tmp_path / "results")
    (tmp_path / "empty").mkdir()
    with pytest.raises(KeptRunError, match=r"comparison.json: no such file; finish the run"):
        find_run(str(tmp_path / "empty"))
    (tmp_path / "results" / "mine" / "verdict.json").write_text("{}")
    with pytest.raises(KeptRunError, match=r"verdict.json: .*repeat `assay report`"):
        find_run("mine", tmp_path / "results")


def test_a_task_without_signal_still_tells_that_all_its_answers_turned_wrong(
    tmp_path: Path,
) -> None:
    found = runs.with_rounds(builders.comparison(runs.TWO))
    q8 = next(v for v in found.variants if v.variant == Q8)
    silent = {
        task: result.model_copy(update={"no_signal": GUESSES})
        for task, result in q8.quality.items()
    }
    worse = {Q8: runs.asked([False] * len(BASE))}
    after = runs.write(tmp_path / "b", runs.changed(found, Q8, quality=silent), worse)
    told = compared(runs.write(tmp_path / "a"), after)
    assert of(told, Q8, "accuracy", "assay_words").finding == "worse"
    assert of(told, Q8, "accuracy", "assay_choice").finding == "not_judged"


def test_a_task_that_has_no_figure_any_more_is_lost_and_nothing_is_known_to_be_well(
    tmp_path: Path,
) -> None:
    found = runs.with_rounds(builders.comparison(runs.TWO))
    q8 = next(v for v in found.variants if v.variant == Q8)
    kept = {task: result for task, result in q8.quality.items() if task != "assay_words"}
    after = runs.changed(found, Q8, quality=kept, refused_tasks={"assay_words": "no echo"})
    told = compared(runs.write(tmp_path / "a"), runs.write(tmp_path / "b", after))
    assert told.lost == {f"{Q8}, assay_words": "no echo"}
    assert told.outcome == "void"
    assert "first gguf-q8_0, assay_words" in told.sentence


def test_a_load_that_has_no_figure_any_more_is_lost(tmp_path: Path) -> None:
    found = runs.with_rounds(builders.comparison(runs.TWO))
    after = runs.changed(found, Q8, load=[])
    told = compared(runs.write(tmp_path / "a"), runs.write(tmp_path / "b", after))
    assert told.outcome == "void"
    assert all(name.startswith(f"{Q8}, ") for name in told.lost)
    assert len(told.lost) == len(found.variants[0].load)


def test_where_nothing_can_be_judged_nothing_is_known_to_be_well(tmp_path: Path) -> None:
    unjudged = [
        it.model_copy(update={"finding": "not_judged"})
        for it in compared(runs.write(tmp_path / "a"), runs.write(tmp_path / "b")).changes
    ]
    assert outcome_of(unjudged, {}) == outcome_of([], {}) == "void"


def test_how_many_texts_were_held_token_by_token_keeps_no_answers_from_being_compared(
    tmp_path: Path,
) -> None:
    after = runs.write(tmp_path / "b", plan={"quality": {"divergence": 0}})
    told = compared(runs.write(tmp_path / "a"), after)
    assert of(told, Q8, "accuracy", "assay_words").finding == "same"
