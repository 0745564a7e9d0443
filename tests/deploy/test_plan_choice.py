"""Without a plan, one is chosen for the model; with one, nothing is."""

import json
from pathlib import Path

import pytest

from deploy import plan_choice
from deploy.plan_choice import PlanChoice, serving_only
from quantize.machine import CPU_NAME, Machine
from quantize.source.source_error import SourceModelError
from tests.deploy.planner.test_rules import SMOL


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_choice, "probe_machine", lambda: Machine(device="cpu", name=CPU_NAME))


def model(folder: Path) -> str:
    (folder / "config.json").write_text(json.dumps({**SMOL, "model_type": "llama"}))
    return str(folder)


def test_the_bundled_model_on_a_cpu_keeps_the_bundled_plan() -> None:
    assert PlanChoice().load().name == "cpu-demo"


def test_a_model_of_ones_own_gets_a_plan_that_it_can_be_made_for(tmp_path: Path) -> None:
    told: list[str] = []
    plan = PlanChoice(model=model(tmp_path)).load(told.append)
    assert plan.name == "cpu"
    assert plan.model == str(tmp_path)
    assert "gptq-int4-g64-vllm" in plan.variants
    assert "chosen for this machine and model" in told[0]


def test_a_plan_that_is_named_is_taken_as_it_is(tmp_path: Path) -> None:
    plan = PlanChoice(plan="cpu-demo", model=model(tmp_path)).load()
    assert plan.name == "cpu-demo"


def test_the_same_is_chosen_again_from_the_words_of_the_choice(tmp_path: Path) -> None:
    choice = PlanChoice(model=model(tmp_path), variants="gguf-q8_0")
    plan = choice.load()
    words = choice.words(plan)
    again = dict(zip(words[::2], words[1::2], strict=True))
    assert PlanChoice(model=again["--model"], variants=again["--variants"]).load() == plan


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceModelError, match="no model folder"):
        PlanChoice(model=str(tmp_path / "nowhere")).load()


def test_one_variant_may_be_served_without_the_baseline() -> None:
    choice = PlanChoice(variants="gguf-q8_0")
    alone = serving_only(choice.load(), ("gguf-q8_0",))
    words = choice.words(alone)
    again = dict(zip(words[::2], words[1::2], strict=True))
    chosen = PlanChoice(variants=again["--variants"], only=again["--only"]).load()
    assert chosen.variants == ("gguf-q8_0",)
    assert chosen.measuring_sha256() == choice.load().measuring_sha256()


IN_TURN = """
name: in-turn
variants: [gguf-bf16, gguf-q8_0]
baseline: gguf-bf16
serving: {one_at_a_time: true}
"""


def test_of_variants_that_are_compared_alone_a_service_runs_all_or_the_one_that_is_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(IN_TURN)
    assert PlanChoice(plan=str(path)).to_serve().variants == ("gguf-bf16", "gguf-q8_0")
    for name in ("gguf-bf16", "gguf-q8_0"):
        assert PlanChoice(plan=str(path), variants=name).to_serve().variants == (name,)


def test_variants_that_are_served_together_are_all_served() -> None:
    assert PlanChoice().to_serve() == PlanChoice().load()
