"""A recipe that fails costs its own variants, not those of the others.

covers: deploy/artifacts.py
"""

import fcntl
import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

import deploy.make_artifacts as module
from deploy.make_artifacts import (
    foretell,
    left_out,
    make_artifacts,
    make_what_can_be,
    order_of,
    recipe_names,
)
from deploy.plan import Plan, load_plan
from quantize.jobs.failure import RefusedError
from quantize.method import RecipeError
from quantize.order import Order
from quantize.root import ROOT
from tests.quantize.made import command_of
from tests.quantize.tiny_model import make_tiny_model


class Tools:
    """Stands in for making and scoring: fails on ``broken`` recipes, and notes what it is asked."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.calls: list[str] = []

    def make(self, order: Order, _say: module.Say) -> None:
        self.calls.append(",".join(order.recipe_names))
        for recipe in order.recipe_names:
            if recipe in self.broken:
                raise RecipeError(f"{recipe} does not\n fit")

    def score(self, order: Order, context_length: int, _say: module.Say) -> None:
        self.calls.append(f"scored for {context_length}: {','.join(order.recipe_names)}")


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Tools:
    found = Tools()
    monkeypatch.setattr(module, "make_ordered", found.make)
    monkeypatch.setattr(module, "score_artifacts", found.score)
    return found


@pytest.fixture
def plan() -> Plan:
    return load_plan("cpu-demo", variants="gguf-q8_0,gguf-q2_k,gptq-int4-g128-vllm")


def unsaid(_line: str) -> None:
    """For who does not listen."""


def test_an_order_is_what_the_plan_says(plan: Plan) -> None:
    serving = plan.serving.model_copy(update={"threads": 3})
    order = order_of(plan.model_copy(update={"serving": serving}), ["bf16"])
    assert order.recipe_names == ("bf16",)
    assert (order.threads, order.model.name) == (3, plan.model)
    assert order.calibration.samples == plan.calibration.samples
    assert order.calibration.sequence_length == plan.calibration.sequence_length


def test_where_nothing_fails_all_are_made_at_once_and_scored_for_the_plans_context(
    plan: Plan, tools: Tools
) -> None:
    names = ",".join(recipe_names(plan))
    scored = f"scored for {plan.serving.context_length}: {names}"
    assert make_what_can_be(plan, unsaid) == {}
    make_artifacts(plan, unsaid)
    assert tools.calls == [names, scored] * 2


def test_recipes_that_are_named_are_made_and_not_scored(plan: Plan, tools: Tools) -> None:
    make_artifacts(plan, unsaid, ["nvfp4"])
    assert tools.calls == ["nvfp4"]


def test_the_reason_of_each_variant_is_the_tools_own(plan: Plan, tools: Tools) -> None:
    tools.broken = {"gptq-int4-g128", "gguf-q2_k"}
    said: list[str] = []
    assert make_what_can_be(plan, said.append) == {
        "gptq-int4-g128-vllm": "gptq-int4-g128 does not fit",
        "gguf-q2_k": "gguf-q2_k does not fit",
    }
    assert tools.calls[1] == "bf16"
    assert tools.calls[-1].endswith(": bf16,gguf-bf16,gguf-q8_0")
    assert "gguf-q2_k        failed: gguf-q2_k does not fit" in said


def test_what_is_made_from_a_failed_artifact_is_not_tried(plan: Plan, tools: Tools) -> None:
    tools.broken = {"gguf-bf16"}
    failed = make_what_can_be(plan, unsaid)
    assert failed["gguf-q8_0"] == (
        "it is made from gguf-bf16, which failed: gguf-bf16 does not fit"
    )
    assert set(failed) == {"gguf-q8_0", "gguf-q2_k"}
    assert "gguf-q8_0" not in tools.calls


def test_without_the_baselines_artifact_the_stage_fails(plan: Plan, tools: Tools) -> None:
    tools.broken = {"bf16"}
    with pytest.raises(RecipeError, match=r"the baseline bf16-vllm: bf16 does not fit"):
        make_what_can_be(plan, unsaid)
    assert tools.calls[1:] == ["bf16"]


def test_a_stop_is_no_failure_of_a_recipe(
    plan: Plan, tools: Tools, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(order: Order, say: module.Say) -> None:
        tools.make(order, say)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "make_ordered", stopped)
    with pytest.raises(KeyboardInterrupt):
        make_what_can_be(plan, unsaid)
    assert len(tools.calls) == 1
    assert capsys.readouterr().err == "quantize: stopped; nothing unfinished was kept\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_stopped_says_what_became_of_its_work(
    tmp_path: Path, number: int
) -> None:
    model = make_tiny_model(tmp_path / "model", layers=1)
    text = tmp_path / "text.jsonl"
    text.write_text(json.dumps({"text": "ba da ka"}) + "\n")
    words = command_of(model, tmp_path / "artifacts", text, "bf16")
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    (manifest,) = (tmp_path / "artifacts").glob("*/bf16/manifest.json")
    manifest.unlink()
    lock = manifest.parents[1] / ".locks" / "bf16.lock"
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as stopped:
            assert stopped.stdout is not None
            assert "waiting: another process is making it" in stopped.stdout.readline()
            stopped.send_signal(number)
            _, told = stopped.communicate(timeout=30)
    assert stopped.returncode == 130
    assert told == "quantize: stopped; nothing unfinished was kept\nquantize: stopped\n"


def test_an_error_keeps_the_code_that_says_whose_it_is(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_order: Order, _say: module.Say) -> None:
        raise RefusedError("ask for less")

    monkeypatch.setattr(module, "make_ordered", refuse)
    with pytest.raises(RefusedError, match="ask for less") as refused:
        make_artifacts(plan, unsaid)
    assert refused.value.exit_code == 2


def test_a_folder_that_cannot_be_written_is_named(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(module, "ARTIFACTS_DIR", tmp_path / "file")
    for begun in (lambda: make_artifacts(plan, unsaid, ["bf16"]), lambda: left_out(plan)):
        with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'file'}")):
            begun()


def test_what_is_foretold_is_not_made(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ARTIFACTS_DIR", tmp_path / "artifacts")
    said: list[str] = []
    foretell(plan, said.append, ["bf16"])
    assert said[-1].startswith("1 to make, 0 reused")
    assert not (tmp_path / "artifacts").exists()


def test_what_the_model_does_not_allow_is_left_out_before_anything_is_made(
    plan: Plan, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ARTIFACTS_DIR", tmp_path / "artifacts")
    model = make_tiny_model(tmp_path / "model", intermediate_size=352, layers=1)
    narrow = plan.model_copy(update={"model": str(model)})
    reasons = left_out(narrow)
    assert set(reasons) == {"gptq-int4-g128-vllm"}
    assert "rows of 352 values; the recipe needs a multiple of 128" in next(iter(reasons.values()))
    with pytest.raises(ValueError, match=r"gptq-int4-g128-vllm: the down projections"):
        make_artifacts(narrow, unsaid)
    assert make_what_can_be(narrow, unsaid) == reasons
    assert tools.calls[0] == "bf16,gguf-bf16,gguf-q8_0,gguf-q2_k"
    with pytest.raises(ValueError, match=r"the baseline gptq-int4-g128-vllm: the down proj"):
        make_what_can_be(narrow.model_copy(update={"baseline": "gptq-int4-g128-vllm"}), unsaid)


def test_a_window_that_llamacpp_does_not_keep_limits_the_context(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ARTIFACTS_DIR", tmp_path / "artifacts")
    model = make_tiny_model(tmp_path / "model", layers=1)
    config = json.loads((model / "config.json").read_text())
    config |= {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
    (model / "config.json").write_text(json.dumps(config | {"sliding_window": 600}))
    windowed = plan.model_copy(update={"model": str(model)})
    assert set(left_out(windowed)) == {"gguf-q8_0", "gguf-q2_k"}
    assert "sliding window of 600 tokens" in left_out(windowed)["gguf-q8_0"]
    short = windowed.serving.model_copy(update={"context_length": 600})
    assert left_out(windowed.model_copy(update={"serving": short})) == {}
