"""The questions as lm-eval asks them of an endpoint: token ids in, likelihoods and answers out.

covers: eval/lm_eval_job.py, eval/lm_eval_model.py, eval/lm_eval_process.py,
eval/lm_eval_runner.py, eval/lm_eval_tasks.py, eval/quality_job.py, eval/rolling_windows.py
"""

import json
import math
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from transformers import AutoTokenizer

from deploy.plan import Plan
from eval import lm_eval_process
from eval.lm_eval_job import LM_EVAL, Event, Job
from eval.lm_eval_process import Answer, QualityError, follow, run_job
from eval.quality import check_tasks, run_quality
from eval.quality_job import (
    TASKS_DIR,
    batch_size,
    made_from,
    make_job,
    task_folders,
    tasks_sha256,
)
from eval.samples import by_task, read_samples
from eval.schema import QualityFile
from eval.task_score import TaskScore
from loadtest.endpoint import EndpointError, read_health
from quantize.root import ROOT
from quantize.source.reading import TOKENIZER_FILES
from quantize.source.source_model import REFERENCE_WEIGHTS
from quantize.validity.made_from import key_of, what_changed
from tests.eval.task_folder import write_tasks
from tests.fake_engine import (
    ANSWERS,
    CAPABILITIES,
    Behaviour,
    FakeEngine,
    log_probability,
    running_engine,
)

TEXTS = ["Mira lives by the sea. She sings.", "Ten boats left the harbour before dawn."]
CHOICES = [" red", " blue", " green", " very dark yellow"]
QUESTIONS = [f"The colour of house {number} is" for number in range(6)]


def make_tasks(folder: Path) -> Path:
    folder.mkdir()
    rows: dict[str, list[dict[str, object]]] = {
        "tiny_text": [{"text": text} for text in TEXTS],
        "tiny_choice": [
            {"question": q, "choices": CHOICES, "answer": i % 4} for i, q in enumerate(QUESTIONS)
        ],
        "tiny_words": [{"question": q, "answer": str(6 + i % 2)} for i, q in enumerate(QUESTIONS)],
    }
    specific = {
        "tiny_text": 'output_type: loglikelihood_rolling\ndoc_to_text: ""\n'
        'doc_to_target: "{{text}}"\nmetric_list: [{metric: bits_per_byte}]\n',
        "tiny_choice": 'output_type: multiple_choice\ndoc_to_text: "{{question}}"\n'
        'doc_to_target: answer\ndoc_to_choice: choices\ntarget_delimiter: ""\n'
        "metric_list: [{metric: acc}, {metric: acc_norm}]\n",
        "tiny_words": 'output_type: generate_until\ndoc_to_text: "{{question}}"\n'
        'doc_to_target: "{{answer}}"\n'
        'generation_kwargs: {until: ["."], do_sample: false, max_gen_toks: 8}\n'
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n",
    }
    write_tasks(folder, rows, specific)
    return folder


def make_plan(*variants: str, tasks: tuple[str, ...], model: str = "reference") -> Plan:
    return Plan.model_validate(
        {
            "name": "tiny",
            "model": model,
            "variants": variants,
            "baseline": variants[0],
            "serving": {"context_length": 256, "max_sequences": 4},
            "load": {"prompt_tokens": 8, "output_tokens": 8},
            "quality": {"tasks": tasks, "concurrency": 3},
        }
    )


@dataclass(frozen=True)
class Finished:
    """A whole quality stage over two variants, of which one cannot echo."""

    fake: FakeEngine
    plan: Plan
    run_dir: Path
    tasks_dir: Path
    results: dict[str, QualityFile]
    told: list[str]

    def again(self, plan: Plan | None = None) -> list[str]:
        told: list[str] = []
        run_quality(
            plan or self.plan,
            self.run_dir,
            url=self.fake.url,
            tasks_dir=self.tasks_dir,
            tell=told.append,
        )
        return told


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("quality")
    tasks = make_tasks(folder / "tasks")
    model = folder / "model"
    model.mkdir()
    for path in REFERENCE_WEIGHTS.iterdir():
        shutil.copy(path, model)
    plan = make_plan(
        "bf16-vllm", "gguf-q8_0", tasks=("tiny_text", "tiny_choice", "tiny_words"), model=str(model)
    )
    variants = {
        "bf16-vllm": Behaviour(full=2),
        "gguf-q8_0": Behaviour(capabilities=ANSWERS, echoes=False, answer="6"),
    }
    with running_engine(variants) as fake:
        run, told = folder / "run", list[str]()
        results = run_quality(plan, run, url=fake.url, tasks_dir=tasks, tell=told.append)
        yield Finished(fake, plan, run, tasks, dict(results), told)


def ids(text: str, model: str) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(model)
    found: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return found


def with_bos(text: str, model: str) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(model)
    adds = tokenizer("a").input_ids[0] == tokenizer.bos_token_id
    return [tokenizer.bos_token_id] * adds + ids(text, model)


def test_the_likelihood_of_a_text_is_that_of_its_tokens_after_one_bos(finished: Finished) -> None:
    bos = AutoTokenizer.from_pretrained(finished.plan.model).bos_token_id
    nll, tokens = 0.0, 0
    for text in TEXTS:
        sequence = [bos, *ids(text, finished.plan.model)]
        nll -= sum(log_probability(a, b) for a, b in pairwise(sequence))
        tokens += len(sequence) - 1
    score = finished.results["bf16-vllm"].tasks["tiny_text"]
    assert score.metric == "nll_per_token"
    assert score.value == pytest.approx(nll / tokens)
    assert score.details["tokens"] == tokens
    total_bytes = sum(len(text.encode()) for text in TEXTS)
    assert score.details["bits_per_byte"] == pytest.approx(nll / total_bytes / math.log(2))


def test_a_choice_is_the_most_likely_continuation(finished: Finished) -> None:
    expected: list[tuple[str, float]] = []
    for question in QUESTIONS:
        context = with_bos(question, finished.plan.model)
        sums = []
        for text in CHOICES:
            whole = with_bos(question + text, finished.plan.model)
            steps = zip(whole[len(context) - 1 :], whole[len(context) :], strict=False)
            sums.append(sum(log_probability(a, b) for a, b in steps))
        expected.append((CHOICES[sums.index(max(sums))].strip(), -sums[len(expected) % 4]))
    samples = by_task(read_samples(finished.run_dir / "bf16-vllm" / "samples.parquet"))
    got = [(sample.answer, sample.nll) for sample in samples["tiny_choice"]]
    assert [answer for answer, _ in got] == [answer for answer, _ in expected]
    assert [nll for _, nll in got] == pytest.approx([nll for _, nll in expected])
    right = [bool(s.correct) for s in samples["tiny_choice"]]
    assert finished.results["bf16-vllm"].tasks["tiny_choice"].value == sum(right) / len(right)


def test_a_generated_answer_counts_when_it_matches(finished: Finished) -> None:
    samples = by_task(read_samples(finished.run_dir / "bf16-vllm" / "samples.parquet"))
    assert [s.correct for s in samples["tiny_words"]] == [False, True] * 3
    assert {s.answer for s in samples["tiny_words"]} == {"7"}
    assert finished.results["bf16-vllm"].tasks["tiny_words"].value == 0.5


def test_a_task_that_the_endpoint_cannot_answer_is_refused_and_not_scored(
    finished: Finished,
) -> None:
    result = finished.results["gguf-q8_0"]
    assert set(result.tasks) == {"tiny_words"}
    assert result.refused_tasks == {
        "tiny_text": "the endpoint cannot do echo_logprobs",
        "tiny_choice": "the endpoint cannot do echo_logprobs",
    }
    assert not any(r.get("echo") for r in finished.fake.requests if r["model"] == "gguf-q8_0")


def test_the_baseline_is_asked_twice_and_the_others_once(finished: Finished) -> None:
    # 2 texts, 6 questions of 4 choices and 6 of words, twice; the other answers only words.
    assert finished.fake.prompts("bf16-vllm") == 2 * (2 + 24 + 6)
    assert finished.fake.prompts("gguf-q8_0") == 6
    assert (finished.run_dir / "bf16-vllm" / "quality-repeat.json").is_file()
    assert not (finished.run_dir / "gguf-q8_0" / "quality-repeat.json").exists()


def test_every_prompt_goes_out_as_token_ids_in_batches_and_without_a_seed(
    finished: Finished,
) -> None:
    for request in finished.fake.requests:
        assert all(isinstance(token, int) for prompt in request["prompt"] for token in prompt)
        assert "seed" not in request
        assert request["temperature"] == 0
    assert max(len(r["prompt"]) for r in finished.fake.requests) == batch_size(finished.plan) == 3


def test_every_variant_and_task_tells_its_score_and_its_rate(finished: Finished) -> None:
    line = next(text for text in finished.told if "bf16-vllm: tiny_words: 0.5000" in text)
    assert "0.5000 accuracy, 6 items in" in line
    assert "prompts/s" in line
    assert any(text.startswith("bf16-vllm (repeat): tiny_text") for text in finished.told)
    assert "gguf-q8_0: tiny_text: refused, the endpoint cannot do echo_logprobs" in finished.told


def test_a_finished_stage_is_not_asked_again(finished: Finished) -> None:
    before = len(finished.fake.requests)
    assert finished.again() == [
        "bf16-vllm: quality is up to date",
        "gguf-q8_0: quality is up to date",
        "bf16-vllm (repeat): quality is up to date",
    ]
    assert len(finished.fake.requests) == before


def test_a_pass_without_its_scores_was_never_finished_and_is_repeated(finished: Finished) -> None:
    (finished.run_dir / "gguf-q8_0" / "quality.json").unlink()
    told = finished.again()
    assert any(text.startswith("gguf-q8_0: tiny_words: 0.5000") for text in told)
    assert "bf16-vllm: quality is up to date" in told


def test_another_artifact_or_engine_or_task_file_makes_a_stored_pass_stale(
    finished: Finished, tmp_path: Path
) -> None:
    health = read_health(finished.fake.url, "bf16-vllm")
    tasks = make_tasks(tmp_path / "tasks")

    def inputs(where: Path = tmp_path, **changes: str) -> dict[str, str]:
        changed = health.model_copy(update=changes)
        one = make_job(
            finished.plan,
            changed.variant,
            changed.capabilities,
            "url",
            REFERENCE_WEIGHTS,
            where / "samples",
            tasks,
        )
        return made_from(one, changed, REFERENCE_WEIGHTS)

    first = inputs()
    assert inputs(Path("elsewhere")) == first
    assert what_changed(first, inputs(artifact_sha256="b" * 64)) == "artifact changed"
    assert what_changed(first, inputs(engine_version="2")) == "engine changed"
    (tasks / "tiny_words.jsonl").write_text("")
    assert what_changed(first, inputs()) == "tasks changed"


def test_a_pass_of_other_inputs_is_made_again_and_says_why(finished: Finished) -> None:
    path = finished.run_dir / "gguf-q8_0" / "quality.json"
    content = json.loads(path.read_text())
    stored = content["made_from"] | {"code": "of yesterday"}
    path.write_text(json.dumps(content | {"made_from": stored, "inputs_sha256": key_of(stored)}))
    told = finished.again()
    assert "gguf-q8_0: asked again: code changed" in told
    assert "bf16-vllm: quality is up to date" in told
    assert json.loads(path.read_text())["made_from"] == content["made_from"]


def job(url: str, tmp_path: Path, **changes: object) -> Job:
    return Job.model_validate(
        {
            "variant": "bf16-vllm",
            "url": f"{url}/bf16-vllm/v1/completions",
            "tokenizer": str(REFERENCE_WEIGHTS),
            "tasks": ("tiny_choice",),
            "tasks_dirs": (str(make_tasks(tmp_path / "tasks")),),
            "bundled_only": True,
            "limit": 2,
            "concurrency": 2,
            "batch_size": 2,
            "context_length": 256,
            "request_timeout_s": 10,
            "capabilities": ("echo_logprobs", "token_ids"),
            "samples": str(tmp_path / "samples.parquet"),
        }
        | changes
    )


def run(one: Job, tmp_path: Path, told: list[str] | None = None) -> Answer:
    return run_job(
        one,
        log=tmp_path / "log",
        cache=tmp_path / "cache",
        label="bf16-vllm",
        tell=(told if told is not None else []).append,
    )


def test_an_engine_that_claims_echo_but_does_not_is_caught(tmp_path: Path) -> None:
    with (
        running_engine({"bf16-vllm": Behaviour(echoes=False)}) as fake,
        pytest.raises(QualityError, match=r"must carry \d+ log-probabilities, the engine sent 1"),
    ):
        run(job(fake.url, tmp_path, tries=1), tmp_path)
    assert not (tmp_path / "samples.parquet").exists()


def test_an_unknown_task_is_named(tmp_path: Path) -> None:
    with pytest.raises(QualityError, match="lm-eval knows no task tiny_chioce"):
        run(job("http://127.0.0.1:9", tmp_path, tasks=("tiny_chioce",)), tmp_path)


def test_a_task_whose_data_are_missing_is_a_clear_error(tmp_path: Path) -> None:
    one = job("http://127.0.0.1:9", tmp_path)
    (tmp_path / "tasks" / "tiny_choice.jsonl").unlink()
    with pytest.raises(QualityError, match=r"its data cannot be had: .*tiny_choice\.jsonl"):
        run(one, tmp_path)


def test_a_pass_ends_with_the_process_that_asked_for_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        script = (
            "from pathlib import Path; from tests.eval.test_quality import job, run\n"
            f"folder = Path({str(tmp_path)!r})\n"
            f"run(job('http://127.0.0.1:{port}', folder), folder)"
        )
        parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
        asking, _ = silent.accept()
        started = psutil.Process(parent.pid).children(recursive=True)
        assert any("eval.lm_eval_runner" in process.cmdline() for process in started)
        parent.kill()
        parent.wait()
        _, left = psutil.wait_procs(started, timeout=20)
        asking.close()
    assert left == []


def test_a_pass_that_dies_says_why_and_where_its_log_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = replace(LM_EVAL, module="eval.no_such_runner")
    monkeypatch.setattr(lm_eval_process, "LM_EVAL", gone)
    with pytest.raises(
        QualityError, match=r"ended early: .* exit code 1: .*No module named .*\(log: .*log\)"
    ):
        run(job("http://127.0.0.1:9", tmp_path), tmp_path)


def test_a_baseline_that_is_not_ready_stops_the_stage_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    plan = make_plan("bf16-vllm", "gguf-q8_0", tasks=("tiny_words",))
    variants = {"bf16-vllm": Behaviour(state="failed"), "gguf-q8_0": Behaviour()}
    with running_engine(variants) as fake:
        with pytest.raises(EndpointError, match=r"bf16-vllm: is 'failed' \(it is a test"):
            run_quality(plan, tmp_path, url=fake.url)
        assert fake.requests == []


def test_an_endpoint_that_is_not_there_names_the_remedy() -> None:
    with pytest.raises(EndpointError, match="make deploy-all"):
        read_health("http://127.0.0.1:9", "bf16-vllm")


def test_progress_is_told_every_ten_seconds() -> None:
    times = iter([0.0, 4.0, 11.0, 11.0, 12.0, 12.0])
    events = [
        Event(kind="progress", task="t", done=10, total=100, seconds=4),
        Event(kind="progress", task="t", done=30, total=100, seconds=10),
        Event(
            kind="task",
            task="t",
            done=100,
            total=100,
            seconds=20,
            score=TaskScore(metric="accuracy", value=0.25, items=25, details={}),
        ),
        None,
    ]
    told: list[str] = []
    answer = Answer()
    follow(events, answer, "v", told.append, clock=lambda: next(times))
    assert told == [
        "v: t: 30 of 100 prompts, 10 s (3 prompts/s)",
        "v: t: 0.2500 accuracy, 25 items in 20 s (5 prompts/s)",
    ]
    assert answer.scores["t"].value == 0.25


def test_a_task_that_cannot_be_scored_is_refused_alone_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    can = CAPABILITIES
    one = job("http://127.0.0.1:9", tmp_path, ask=False, capabilities=can)
    told: list[str] = []
    folder = tmp_path / "tasks"
    text = (folder / "tiny_words.yaml").read_text()
    for name, old, new in (
        ("long", "max_gen_toks: 8", "max_gen_toks: 4096"),
        ("beams", "max_gen_toks: 8", "num_beams: 4"),
        ("perplexity", "output_type: generate_until", "output_type: loglikelihood"),
    ):
        changed = text.replace("task: tiny_words", f"task: {name}").replace(old, new)
        if name == "perplexity":
            metric = "exact_match, aggregation: mean"
            changed = changed.replace(metric, "perplexity, aggregation: perplexity")
        (folder / f"{name}.yaml").write_text(changed)
    names = ("long", "beams", "perplexity", "tiny_words")
    answer = run(one.model_copy(update={"tasks": names}), tmp_path, told)
    assert list(answer.refused) == ["long", "beams", "perplexity"]
    assert "up to 4096 tokens" in answer.refused["long"]
    assert told[0].startswith("bf16-vllm: long: refused, it generates up to")
    assert not (tmp_path / "samples.parquet").exists()
    with pytest.raises(QualityError, match="none can be asked"):
        run(one.model_copy(update={"tasks": names[:3]}), tmp_path)


def test_what_finished_is_kept_when_another_fails_and_only_that_is_asked_again(
    tmp_path: Path,
) -> None:
    tasks = make_tasks(tmp_path / "tasks")
    plan = make_plan("bf16-vllm", tasks=("tiny_text", "tiny_words"))
    gone = tasks / "tiny_text.jsonl"
    text = gone.read_text()
    gone.unlink()
    told: list[str] = []

    def ask() -> QualityFile:
        found = run_quality(plan, tmp_path / "run", url=fake.url, tasks_dir=tasks, tell=told.append)
        return found["bf16-vllm"]

    with running_engine({"bf16-vllm": Behaviour()}) as fake:
        first = ask()
        assert list(first.tasks) == ["tiny_words"]
        assert "its data cannot be had" in first.failed_tasks["tiny_text"]
        asked = fake.prompts("bf16-vllm")
        gone.write_text(text)
        # The data belong to what a pass is made from: as they were, they were not there.
        for name in ("quality.json", "quality-repeat.json"):
            path = tmp_path / "run" / "bf16-vllm" / name
            made = path.read_text()
            stored = QualityFile.model_validate_json(made)
            health = read_health(fake.url, "bf16-vllm")
            samples = tmp_path / "run" / "bf16-vllm" / "samples.parquet"
            one = make_job(
                plan, "bf16-vllm", health.capabilities, fake.url, REFERENCE_WEIGHTS, samples, tasks
            )
            inputs = made_from(one, health, REFERENCE_WEIGHTS)
            changed = {"made_from": inputs, "inputs_sha256": key_of(inputs)}
            path.write_text(stored.model_copy(update=changed).model_dump_json())
        second = ask()
    assert second.failed_tasks == {}
    assert second.tasks["tiny_words"] == first.tasks["tiny_words"]
    # Two texts, by either pass of the baseline.
    assert fake.prompts("bf16-vllm") - asked == 2 * 2
    kept = by_task(read_samples(tmp_path / "run" / "bf16-vllm" / "samples.parquet"))
    assert {name: len(rows) for name, rows in kept.items()} == {"tiny_words": 6, "tiny_text": 2}
    assert "bf16-vllm: asked again: tiny_text failed" in told


def test_examples_come_before_a_question_and_never_its_own_answer(tmp_path: Path) -> None:
    one = job("http://unused", tmp_path, tasks=("tiny_words",), limit=None, num_fewshot=2)
    path = tmp_path / "tasks" / "tiny_words.yaml"
    with running_engine({"bf16-vllm": Behaviour()}) as fake:
        one = one.model_copy(
            update={
                "url": f"{fake.url}/bf16-vllm/v1/completions",
                "capabilities": ANSWERS,
            }
        )
        assert "fewshot_split" in run(one, tmp_path).refused["tiny_words"]
        path.write_text(path.read_text() + "fewshot_split: test\nnum_fewshot: 0\n")
        run(one, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(REFERENCE_WEIGHTS)
    prompts = [tokenizer.decode(p) for request in fake.requests for p in request["prompt"]]
    assert len(prompts) == len(QUESTIONS)
    for prompt in prompts:
        *examples, asked = prompt.split("\n\n")
        assert len(examples) == 2
        assert not any(asked in example for example in examples)


def test_a_chat_template_puts_one_bos_before_its_question(tmp_path: Path) -> None:
    with running_engine({"bf16-vllm": Behaviour()}) as fake:
        one = job(
            fake.url,
            tmp_path,
            tasks=("tiny_words",),
            capabilities=ANSWERS,
            apply_chat_template=True,
        )
        run(one, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(REFERENCE_WEIGHTS)
    expected = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True
        )["input_ids"]
        for question in QUESTIONS[:2]
    ]
    assert sorted(p for request in fake.requests for p in request["prompt"]) == sorted(expected)


def test_a_model_without_a_chat_template_is_refused_when_one_is_asked_for(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in TOKENIZER_FILES:
        if (REFERENCE_WEIGHTS / name).is_file() and name != "chat_template.jinja":
            shutil.copy(REFERENCE_WEIGHTS / name, model)
    settings = json.loads((model / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    one = job("http://127.0.0.1:9", tmp_path, tokenizer=str(model), apply_chat_template=True)
    with pytest.raises(QualityError, match="apply_chat_template: the model has no chat template"):
        run(one, tmp_path)


def test_a_plans_own_folder_of_tasks_is_read_and_its_files_decide_the_questions(
    tmp_path: Path,
) -> None:
    own = make_tasks(tmp_path / "own")
    plan = make_plan("bf16-vllm", tasks=("tiny_words",))
    quality = plan.quality.model_copy(update={"include_path": str(own)})
    plan = plan.model_copy(update={"quality": quality})
    told: list[str] = []
    check_tasks(plan, tmp_path / "run", tell=told.append)
    assert [line.split(" prove")[0] for line in told] == ["tiny_words: 6 items"]
    misspelt = quality.model_copy(update={"tasks": ("tiny_wrods",)})
    with pytest.raises(QualityError, match="no task tiny_wrods"):
        check_tasks(plan.model_copy(update={"quality": misspelt}), tmp_path / "run", tell=print)
    before = tasks_sha256(("tiny_words",), task_folders(plan, TASKS_DIR))
    (own / "tiny_words.jsonl").write_text("")
    assert tasks_sha256(("tiny_words",), task_folders(plan, TASKS_DIR)) != before
