"""Questions in blocks, asked of endpoints: who is asked how much, and that a break changes nothing.

covers: eval/lm_eval_records.py, eval/quality_ends.py, eval/quality_files.py,
eval/quality_ground.py, eval/stopped_words.py, eval/task_ground.py
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import eval.quality_blocks as module
from deploy.plan import Plan
from eval.lm_eval_job import Job
from eval.lm_eval_process import Answer, QualityError, run_job
from eval.lm_eval_records import read_rows
from eval.paired import compare_task
from eval.quality import run_quality
from eval.quality_blocks import joined
from eval.quality_ends import floor_within, with_ends
from eval.quality_files import pass_paths
from eval.quality_job import made_from, make_job
from eval.samples import by_task, read_samples
from eval.schema import QualityFile
from eval.stopped_words import stopped_line
from eval.task_ground import find_ground
from eval.task_score import TaskScore
from loadtest.endpoint import read_health
from loadtest.failures import read_failures
from quantize.source.source_model import REFERENCE_WEIGHTS
from quantize.validity.made_from import key_of
from tests.eval.run_on_disk import answers
from tests.eval.task_folder import write_tasks
from tests.fake_engine import Behaviour, FakeEngine, running_engine

ITEMS = 260
GOOD, RUINED = "gguf-q8_0", "gguf-q2_k"


def make_tasks(folder: Path) -> Path:
    """Two tasks whose files are sorted by what they ask."""
    folder.mkdir(parents=True)
    rows: dict[str, list[dict[str, object]]] = {
        "many_words": [
            {"question": f"House {n} is", "answer": "7" if n < 200 else "8", "kind": f"k{n // 130}"}
            for n in range(ITEMS)
        ],
        "many_texts": [{"text": f"Mira lives in house {n}. She sings."} for n in range(ITEMS)],
    }
    specific = {
        "many_words": 'output_type: generate_until\ndoc_to_text: "{{question}}"\n'
        'doc_to_target: "{{answer}}"\n'
        'generation_kwargs: {until: ["."], do_sample: false, max_gen_toks: 8}\n'
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n",
        "many_texts": 'output_type: loglikelihood_rolling\ndoc_to_text: ""\n'
        'doc_to_target: "{{text}}"\n'
        "metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]\n",
    }
    write_tasks(folder, rows, specific)
    return folder


def make_plan(
    *variants: str, limit: int | None = None, stop_early: bool = True, margin: float = 0.05
) -> Plan:
    names = ("bf16-vllm", *variants)
    return Plan.model_validate(
        {
            "name": "tiny",
            "model": "reference",
            "variants": names,
            "baseline": names[0],
            "serving": {"context_length": 256, "max_sequences": 16},
            "load": {"prompt_tokens": 8, "output_tokens": 8},
            "quality": {
                "tasks": ("many_texts", "many_words"),
                "limit": limit,
                "stop_early": stop_early,
            },
            "objectives": {"accuracy_margin": margin},
        }
    )


BEHAVIOURS = {
    "bf16-vllm": Behaviour(),
    GOOD: Behaviour(),
    RUINED: Behaviour(answer="9"),
}


class Asked:
    """A stage in a folder, and what it told."""

    def __init__(self, folder: Path, fake: FakeEngine) -> None:
        self.run_dir = folder / "run"
        self.tasks = folder / "tasks"
        if not self.tasks.exists():
            make_tasks(self.tasks)
        self.fake = fake
        self.told: list[str] = []

    def ask(self, plan: Plan, **more: Any) -> dict[str, QualityFile]:
        found = run_quality(
            plan,
            self.run_dir,
            url=self.fake.url,
            tasks_dir=self.tasks,
            tell=self.told.append,
            **more,
        )
        return dict(found)

    def items(self, variant: str, name: str = "quality.json") -> dict[str, int]:
        stored = QualityFile.model_validate_json((self.run_dir / variant / name).read_bytes())
        return {task: score.items for task, score in stored.tasks.items()}


@contextmanager
def stage(folder: Path) -> Iterator[Asked]:
    with running_engine(BEHAVIOURS) as fake:
        yield Asked(folder, fake)


def ended(asked: Asked, plan: Plan) -> dict[str, object]:
    """All that a verdict reads of the questions: what each task came to, and why it ended."""
    baseline = plan.baseline
    passes = {
        one: by_task(read_samples(path))
        for one in ((name, repeat) for name in plan.variants for repeat in (False, True))
        if (path := pass_paths(asked.run_dir, *one)[1]).is_file()
    }
    scores = {
        name: QualityFile.model_validate_json(
            pass_paths(asked.run_dir, name, False)[0].read_bytes()
        )
        for name in plan.variants
    }
    first, second = passes[baseline, False], passes[baseline, True]
    ground = find_ground(first, second, scores[baseline].tasks, plan.objectives, anytime=True)
    found: dict[str, object] = {}
    for name in plan.variants:
        compared = {
            task: ground.compare(task, passes[name, False][task], score, anytime=True)
            for task, score in scores[name].tasks.items()
        }
        for task, it in with_ends(compared, scores[name], plan.objectives, 2).items():
            found[f"{name} {task}"] = it.model_copy(update={"seconds": None})
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with stage(tmp_path_factory.mktemp("blocks")) as found:
        found.ask(make_plan(GOOD, RUINED))
        yield found


def test_a_ruined_variant_is_asked_one_block_and_a_good_one_until_it_is_proven(
    finished: Asked,
) -> None:
    assert finished.items(RUINED) == {"many_texts": 50, "many_words": 50}
    good = finished.items(GOOD)
    assert good["many_texts"] == 50
    assert 100 <= good["many_words"] < ITEMS


def test_the_baseline_is_asked_what_the_others_need_and_its_second_pass_no_more(
    finished: Asked,
) -> None:
    good = finished.items(GOOD)
    assert finished.items("bf16-vllm") == good
    repeat = finished.items("bf16-vllm", "quality-repeat.json")
    assert all(repeat[task] <= good[task] for task in good)


def test_every_variant_is_asked_the_same_sequence_which_is_not_that_of_the_file(
    finished: Asked,
) -> None:
    found = {
        name: by_task(read_samples(finished.run_dir / name / "samples.parquet"))["many_words"]
        for name in ("bf16-vllm", GOOD, RUINED)
    }
    items = {name: [sample.item for sample in rows] for name, rows in found.items()}
    assert items["bf16-vllm"] == items[GOOD]
    assert items[GOOD][:50] == items[RUINED]
    assert max(items[RUINED]) > 200
    assert {sample.stratum for sample in found[RUINED]} == {"k0", "k1"}


def test_it_is_told_how_far_each_task_was_asked_and_why_no_further(finished: Asked) -> None:
    line = next(text for text in finished.told if text.startswith(f"{RUINED}: many_words"))
    assert "50 of 260 items" in line
    assert line.endswith("worse")
    line = next(text for text in finished.told if text.startswith(f"{RUINED}: many_texts"))
    assert line.endswith("proven")
    assert any("many_words" in it and it.endswith("proven") for it in finished.told if GOOD in it)


def test_a_decided_stage_asks_nothing_again_and_a_narrower_margin_goes_on_where_it_was(
    finished: Asked,
) -> None:
    before = finished.fake.prompts(GOOD)
    items = finished.items(GOOD)
    finished.told.clear()
    finished.ask(make_plan(GOOD, RUINED))
    assert finished.fake.prompts(GOOD) == before
    assert f"{GOOD}: quality is up to date" in finished.told
    finished.ask(make_plan(GOOD, RUINED, margin=0.03))
    more = finished.items(GOOD)
    assert more["many_words"] > items["many_words"]
    asked = sum(more.values()) - sum(items.values())
    assert finished.fake.prompts(GOOD) - before == asked


def test_a_run_that_broke_off_ends_as_one_that_did_not(
    finished: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stage(tmp_path / "broken") as broken:
        left = 4

        def break_off(job: Job, **given: Any) -> Answer:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return run_job(job, **given)

        monkeypatch.setattr(module, "run_job", break_off)
        with pytest.raises(KeyboardInterrupt):
            broken.ask(make_plan(GOOD, RUINED))
        monkeypatch.setattr(module, "run_job", run_job)
        plan = make_plan(GOOD, RUINED, margin=0.03)
        broken.ask(plan)
        finished.ask(plan)
        for name in ("bf16-vllm", GOOD, RUINED):
            here, there = (it.run_dir / name / "samples.parquet" for it in (broken, finished))
            assert read_samples(here) == read_samples(there)


@pytest.mark.parametrize("blocks", [1, 2, 5, 7])
def test_a_run_that_was_killed_before_a_block_was_told_ends_the_same(
    finished: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    """The answers of the last block lie there, and the score does not know of them."""
    plan = make_plan(GOOD, RUINED, margin=0.03)
    finished.ask(plan)
    with stage(tmp_path / "broken") as broken:
        left = blocks

        def kill_after(job: Job, **given: Any) -> Answer:
            nonlocal left
            answer = run_job(job, **given)
            left -= 1
            if not left:
                raise KeyboardInterrupt
            return answer

        monkeypatch.setattr(module, "run_job", kill_after)
        with pytest.raises(KeyboardInterrupt):
            broken.ask(plan)
        monkeypatch.setattr(module, "run_job", run_job)
        broken.ask(plan)
        assert ended(broken, plan) == ended(finished, plan)
        for name in plan.variants:
            assert broken.items(name) == finished.items(name)


def test_what_was_asked_until_it_was_decided_is_asked_whole_where_the_plan_wants_that(
    tmp_path: Path,
) -> None:
    with stage(tmp_path / "x") as asked:
        asked.ask(make_plan(RUINED))
        assert asked.items(RUINED)["many_words"] < ITEMS
        asked.ask(make_plan(RUINED, stop_early=False))
        assert asked.items(RUINED) == {"many_texts": ITEMS, "many_words": ITEMS}
        line = f"{RUINED}: asked again: it was asked in blocks (quality.stop_early)"
        assert line in asked.told


def test_all_blocks_together_are_what_lm_eval_says_of_the_whole(tmp_path: Path) -> None:
    with stage(tmp_path / "x") as asked:
        blocks = make_plan(limit=120)
        asked.ask(blocks, passes=[("bf16-vllm", False)])
        found = asked.items("bf16-vllm")
        folder = asked.run_dir / "bf16-vllm"
        mine = json.loads((folder / "lm-eval" / "results.json").read_text())
        rows = read_rows(folder / "lm-eval" / "samples_many_words.jsonl")
        documents = [row["doc_id"] for row in rows]
        asked.ask(make_plan(stop_early=False), passes=[("bf16-vllm", False)])
        whole = read_rows(folder / "lm-eval" / "samples_many_words.jsonl")
        theirs = json.loads((folder / "lm-eval" / "results.json").read_text())
    assert found == {"many_texts": 120, "many_words": 120}
    assert documents == sorted(documents)
    assert len(set(documents)) == 120
    assert rows == [row for row in whole if row["doc_id"] in documents]
    right = sum(row["exact_match"] for row in rows)
    assert mine["results"]["many_words"]["exact_match,none"] == right / 120
    assert mine["n-samples"]["many_words"] == {"original": ITEMS, "effective": 120}
    assert theirs["results"]["many_words"]["exact_match,none"] == 200 / ITEMS
    assert mine["results"]["many_words"].keys() == theirs["results"]["many_words"].keys()
    assert mine["configs"] == theirs["configs"]


def test_where_the_baseline_is_served_alone_it_is_asked_all_that_the_plan_allows(
    tmp_path: Path,
) -> None:
    plan = make_plan(GOOD, limit=100)
    with stage(tmp_path / "x") as asked:
        alone = plan.model_copy(update={"variants": ("bf16-vllm",)})
        asked.ask(alone, passes=[("bf16-vllm", False)], compared=1)
        assert asked.items("bf16-vllm") == {"many_texts": 100, "many_words": 100}
        other = plan.model_copy(update={"variants": (GOOD,)})
        asked.ask(other, passes=[(GOOD, False)], compared=1)
        assert asked.items(GOOD)["many_texts"] == 50
        assert asked.fake.prompts("bf16-vllm") == 200


def test_a_variant_that_breaks_off_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_one(job: Job, **given: Any) -> Answer:
        if job.variant == GOOD:
            raise QualityError(f"{GOOD}: the endpoint went away")
        return run_job(job, **given)

    monkeypatch.setattr(module, "run_job", break_one)
    with stage(tmp_path / "x") as asked:
        assert set(asked.ask(make_plan(GOOD, RUINED))) == {"bf16-vllm", RUINED}
        assert read_failures(asked.run_dir, GOOD) == {"quality": "the endpoint went away"}


def test_a_block_that_fails_takes_nothing_from_those_before_it_and_is_asked_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_third(job: Job, **given: Any) -> Answer:
        if job.variant == GOOD and job.spans.get("many_words", (0, 0))[0] >= 100:
            raise QualityError(f"{GOOD}: many_words: the endpoint went away")
        return run_job(job, **given)

    monkeypatch.setattr(module, "run_job", break_third)
    plan = make_plan(GOOD, RUINED)
    with stage(tmp_path / "x") as asked:
        kept = asked.ask(plan)[GOOD]
        assert kept.failed_tasks == {"many_words": "many_words: the endpoint went away"}
        assert asked.items(GOOD) == {"many_texts": 50, "many_words": 100}
        assert read_failures(asked.run_dir, GOOD) == {}
        assert any("FAILED, many_words: the endpoint" in line for line in asked.told)
        monkeypatch.setattr(module, "run_job", run_job)
        again = asked.ask(plan)[GOOD]
        assert again.failed_tasks == {}
        assert again.tasks["many_words"].items > 100
        rows = by_task(read_samples(asked.run_dir / GOOD / "samples.parquet"))["many_words"]
        assert len({row.item for row in rows}) == len(rows) == again.tasks["many_words"].items


def test_a_task_that_fails_is_tried_once_more_by_the_next_stage_and_the_others_are_kept(
    tmp_path: Path,
) -> None:
    plan, one = make_plan(limit=50), ("bf16-vllm", False)
    with stage(tmp_path / "x") as asked:
        gone = asked.tasks / "many_texts.jsonl"
        text = gone.read_text()
        gone.unlink()
        first = asked.ask(plan, passes=[one])["bf16-vllm"]
        assert list(first.tasks) == ["many_words"]
        assert "its data cannot be had" in first.failed_tasks["many_texts"]
        before = asked.fake.prompts("bf16-vllm")
        gone.write_text(text)
        # The data belong to what a pass is made from: as they were, they were not there.
        path = asked.run_dir / "bf16-vllm" / "quality.json"
        inputs = inputs_now(asked, plan)
        changed = {"made_from": inputs, "inputs_sha256": key_of(inputs)}
        path.write_text(first.model_copy(update=changed).model_dump_json())
        second = asked.ask(plan, passes=[one])["bf16-vllm"]
        assert asked.fake.prompts("bf16-vllm") == before + 50
    assert second.failed_tasks == {}
    assert second.tasks["many_words"] == first.tasks["many_words"]
    assert second.tasks["many_texts"].items == 50


def inputs_now(asked: Asked, plan: Plan) -> dict[str, str]:
    """What the baseline's first pass would be made from."""
    health = read_health(asked.fake.url, "bf16-vllm")
    samples = asked.run_dir / "bf16-vllm" / "samples.parquet"
    one = make_job(
        plan,
        "bf16-vllm",
        health.capabilities,
        asked.fake.url,
        REFERENCE_WEIGHTS,
        samples,
        asked.tasks,
    )
    return made_from(one, health, REFERENCE_WEIGHTS)


def test_stretches_of_a_task_sum_what_they_cost() -> None:
    one = TaskScore(metric="accuracy", value=0.5, items=50, details={"seconds": 2.0})
    both = joined(one, one.model_copy(update={"items": 100}))
    assert (both.items, both.details["seconds"]) == (100, 4.0)
    assert stopped_line(one, 90, None, None) == "0.5000 accuracy, 50 of 90 items in 2 s"


def test_a_comparison_says_of_each_task_why_it_ended(finished: Asked) -> None:
    folder = finished.run_dir
    stored = QualityFile.model_validate_json((folder / RUINED / "quality.json").read_bytes())
    mine, theirs = (
        by_task(read_samples(folder / name / "samples.parquet")) for name in (RUINED, "bf16-vllm")
    )
    objectives = make_plan(GOOD).objectives
    compared = {
        task: compare_task(mine[task], theirs[task], score, objectives, 0.0, anytime=True)
        for task, score in stored.tasks.items()
    }
    ended = with_ends(compared, stored, objectives, 2)
    assert {task: it.stopped for task, it in ended.items()} == {
        "many_texts": "proven",
        "many_words": "worse",
    }


def test_the_noise_floor_is_that_of_the_items_that_a_variant_was_asked() -> None:
    first = answers("t", [True] * 100)
    second = answers("t", [place != 90 for place in range(100)])
    assert floor_within(first[:50], first, second, 0.95) == 0
    assert floor_within(first, first, second, 0.95) == pytest.approx(1.96 / 100, rel=1e-3)
