"""A comparison goes on without what fails; only its baseline ends it.

covers: eval/number_formats.py
"""

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import eval.pipeline as module
from deploy.plan import Plan, load_plan
from deploy.service import DeployError
from deploy.up import Served
from eval.comparison import build_comparison
from eval.pipeline import compare
from loadtest.locust_process import LoadTestError
from loadtest.run_directory import keep_plan, open_run

UNUSED = ("gguf-q4_k_m", "gguf-q2_k")


class Stages:
    """Stands in for the stages; ``failed`` says which variants each loses, by stage."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.failed: dict[str, dict[str, str]] = {}
        self.given: dict[str, tuple[str, ...]] = {}
        self.turns: list[tuple[str, ...]] = []
        self.foreseen: list[tuple[str, ...]] = []
        self.in_the_way = ""

    def make(self, plan: Plan, _say: Any) -> Mapping[str, str]:
        return self._run("quantize", plan)

    def look(self, plans: Iterable[Plan]) -> None:
        self.foreseen = [plan.variants for plan in plans]
        if self.in_the_way:
            raise DeployError(self.in_the_way)

    def up(self, plan: Plan, options: list[str], *_: Any, **__: Any) -> Served:
        assert options == list(plan.variants), "the host is told the same variants"
        return Served(started=False, failed=self._run("deploy", plan))

    def load(self, plan: Plan, **_: Any) -> Mapping[str, str]:
        keep_plan(self.run, plan)
        return self._run("load test", plan)

    def ask(self, plan: Plan, *_: Any, **__: Any) -> None:
        self._run("quality", plan)

    def _run(self, stage: str, plan: Plan) -> Mapping[str, str]:
        self.given[stage] = plan.variants
        self.turns.append((stage, *plan.variants))
        return self.failed.get(stage, {})


@pytest.fixture
def stages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_plan: Plan, tiny_run: Path
) -> Stages:
    fake = Stages(tiny_run)
    monkeypatch.setattr(module, "make_what_can_be", fake.make)
    monkeypatch.setattr(module, "up", fake.up)
    monkeypatch.setattr(module, "refuse_what_is_in_the_way", fake.look)
    monkeypatch.setattr(module, "left_out", lambda _: {"gguf-q2_k": "rows do not fit"})
    monkeypatch.setattr(module, "run_load_test", fake.load)
    monkeypatch.setattr(module, "check_tasks", lambda *_, **__: None)
    monkeypatch.setattr(module, "run_quality", fake.ask)
    monkeypatch.setattr(module, "run_divergence", lambda *_, **__: None)
    monkeypatch.setattr(module, "explore_formats", lambda *_: None)
    monkeypatch.setattr(module, "figures_path", lambda _: tmp_path / "none")
    monkeypatch.setattr(module, "keep_figures", lambda *_: None)
    monkeypatch.setattr(module, "RUN_DIR", tmp_path / "service")
    monkeypatch.setattr(module, "run_directory", lambda _: tiny_run)
    monkeypatch.setattr(module, "open_run", lambda plan: open_here(plan, tiny_run))
    monkeypatch.setattr(module, "write_environment", lambda run, _: write_machine(run))
    there = partial(build_comparison, artifacts=tmp_path / "artifacts")
    monkeypatch.setattr(module, "build_comparison", there)
    assert tiny_plan.variants == ("bf16-vllm", "gguf-q8_0")
    return fake


def open_here(plan: Plan, run: Path) -> Path:
    opened = open_run(plan, run.parent / "opened")
    (opened / "plan.yaml").replace(run / "plan.yaml")
    return run


def write_machine(run: Path) -> None:
    (run / "environment.json").write_text(json.dumps({"gpu": None}))


def with_more(plan: Plan) -> Plan:
    return plan.model_copy(update={"variants": (*plan.variants, *UNUSED)})


def test_each_stage_gets_what_the_ones_before_it_left_and_every_reason_is_told(
    stages: Stages, tiny_plan: Plan, tiny_run: Path
) -> None:
    stages.failed = {
        "quantize": {"gguf-q2_k": "rows do not fit"},
        "deploy": {"gguf-q4_k_m": "gguf-q4_k_m: no room"},
    }
    said: list[str] = []
    compare(with_more(tiny_plan), lambda plan: list(plan.variants), said.append)
    assert stages.given["deploy"] == ("bf16-vllm", "gguf-q8_0", "gguf-q4_k_m")
    assert stages.given["load test"] == stages.given["quality"] == ("bf16-vllm", "gguf-q8_0")
    text = said[-1]
    assert "gguf-q2_k failed: quantize: rows do not fit" in " ".join(text.split())
    assert "gguf-q4_k_m failed: deploy: no room" in " ".join(text.split())
    verdict = json.loads((tiny_run / "verdict.json").read_text())
    failed = {entry["variant"]: entry["failed"] for entry in verdict["ranking"]}
    assert failed["gguf-q2_k"] == [
        {"objective": "failure", "task": None, "words": "quantize: rows do not fit"}
    ]
    assert failed["gguf-q4_k_m"] == [
        {"objective": "failure", "task": None, "words": "deploy: no room"}
    ]
    page = (tiny_run / "report.html").read_text()
    assert "rows do not fit" in page


def _refuse(*_asked: Any, **_more: Any) -> None:
    raise ValueError("model.safetensors is truncated")


@pytest.mark.parametrize("stage", ["left_out", "refuse_what_is_in_the_way", "check_tasks"])
def test_a_comparison_that_is_refused_leaves_no_run_behind_and_an_earlier_one_alone(
    stages: Stages,
    tiny_plan: Plan,
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    new = tmp_path / "results" / "new"
    monkeypatch.setattr(module, "run_directory", lambda _: new)
    monkeypatch.setattr(module, "open_run", lambda _: new.mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(module, stage, _refuse)
    with pytest.raises(ValueError, match="is truncated"):
        compare(tiny_plan, lambda plan: list(plan.variants), lambda _: None)
    assert not new.exists()
    monkeypatch.setattr(module, "run_directory", lambda _: tiny_run)
    before = {path.name for path in tiny_run.iterdir()}
    with pytest.raises(ValueError, match="is truncated"):
        compare(tiny_plan, lambda plan: list(plan.variants), lambda _: None)
    assert before <= {path.name for path in tiny_run.iterdir()}
    assert stages.turns == []


def test_a_log_that_a_refusal_names_is_kept(
    stages: Stages, tiny_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = tmp_path / "results" / "new"

    def refuse(*_asked: Any, **_more: Any) -> None:
        raise ValueError(f"no task can be asked (log: {new / 'tasks.log'})")

    monkeypatch.setattr(module, "run_directory", lambda _: new)
    monkeypatch.setattr(module, "open_run", lambda _: new.mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(module, "check_tasks", refuse)
    with pytest.raises(ValueError, match="no task can be asked"):
        compare(tiny_plan, lambda plan: list(plan.variants), lambda _: None)
    assert new.is_dir()


def test_a_baseline_that_cannot_be_of_the_model_is_refused_before_the_run_is_opened(
    stages: Stages, tiny_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = tmp_path / "results" / "new"
    monkeypatch.setattr(module, "run_directory", lambda _: new)
    monkeypatch.setattr(module, "left_out", lambda _: {"bf16-vllm": "vLLM does not serve it"})
    with pytest.raises(ValueError, match="the baseline bf16-vllm: vLLM does not serve it"):
        compare(tiny_plan, lambda plan: list(plan.variants), lambda _: None)
    assert not new.exists()
    assert stages.turns == []


def test_a_reason_of_the_last_comparison_is_forgotten_by_the_next(
    stages: Stages, tiny_plan: Plan
) -> None:
    stages.failed = {"deploy": {"gguf-q8_0": "no room"}}
    said: list[str] = []
    compare(tiny_plan, lambda plan: list(plan.variants), said.append)
    stages.failed = {}
    compare(tiny_plan, lambda plan: list(plan.variants), said.append)
    assert "no room" not in said[-1]


def test_a_service_in_the_way_ends_the_comparison_before_anything_is_made(
    stages: Stages, tiny_plan: Plan
) -> None:
    stages.in_the_way = "another service runs"
    with pytest.raises(DeployError, match="another service runs"):
        compare(with_more(tiny_plan), lambda plan: list(plan.variants), print)
    assert stages.foreseen == [("bf16-vllm", "gguf-q8_0", "gguf-q4_k_m")]
    assert not stages.turns


def test_the_baselines_load_test_ends_the_comparison(stages: Stages, tiny_plan: Plan) -> None:
    stages.failed = {"load test": {"bf16-vllm": "all requests failed"}}
    with pytest.raises(LoadTestError, match="the baseline failed: all requests failed"):
        compare(tiny_plan, lambda plan: list(plan.variants), print)
    assert "quality" not in stages.given


def test_one_at_a_time_each_is_served_alone_and_the_baseline_once_more_at_the_end(
    stages: Stages, tiny_plan: Plan, tiny_run: Path
) -> None:
    serving = tiny_plan.serving.model_copy(update={"one_at_a_time": True})
    plan = tiny_plan.model_copy(update={"serving": serving})
    stages.failed = {"deploy": {"gguf-q4_k_m": "no room"}}
    plan = plan.model_copy(update={"variants": (*plan.variants, "gguf-q4_k_m")})
    compare(plan, lambda plan: list(plan.variants), lambda _: None)
    assert load_plan(str(tiny_run / "plan.yaml")).variants == plan.variants
    assert stages.foreseen == [*((name,) for name in plan.variants), ("bf16-vllm",)]
    assert stages.turns == [
        ("quantize", "bf16-vllm", "gguf-q8_0", "gguf-q4_k_m"),
        ("deploy", "bf16-vllm"),
        ("load test", "bf16-vllm"),
        ("quality", "bf16-vllm"),
        ("deploy", "gguf-q8_0"),
        ("load test", "gguf-q8_0"),
        ("quality", "gguf-q8_0"),
        ("deploy", "gguf-q4_k_m"),
        ("deploy", "bf16-vllm"),
        ("quality", "bf16-vllm"),
    ]


@pytest.mark.parametrize("explore", [True, False])
def test_a_plan_may_leave_the_figures_of_the_formats_out(
    stages: Stages, tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch, explore: bool
) -> None:
    explored: list[Plan] = []
    monkeypatch.setattr(module, "explore_formats", lambda plan, _: explored.append(plan))
    plan = tiny_plan.model_copy(update={"explore": explore})
    compare(plan, lambda plan: list(plan.variants), lambda _: None)
    assert bool(explored) is explore


def test_a_stage_is_cached_only_when_it_leaves_files_and_none_changed(tmp_path: Path) -> None:
    found = tmp_path / "load.json"
    found.write_text("{}")
    timed = module.Stages(tmp_path, lambda _: None)
    with timed.time("load test", lambda: [found]):
        pass
    with timed.time("deploy", list):
        pass
    marks = {stage.name: stage.cached for stage in timed.done if stage.name != "set-up"}
    assert marks == {"load test": True, "deploy": False}
