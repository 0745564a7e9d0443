"""A recipe that fails costs its own variants, not those of the others."""

import json
import sys
from pathlib import Path

import pytest

import deploy.artifacts as module
from deploy.artifacts import (
    StageError,
    left_out,
    make_artifacts,
    make_what_can_be,
    quantize_command,
    recipe_names,
)
from deploy.plan import Plan, load_plan
from quantize.jobs.environment import python_of
from tests.quantize.tiny_model import make_tiny_model

# Stands in for the quantize command: fails on the recipes named in a file, and notes its calls.
COMMAND = """
import sys
from pathlib import Path
folder, recipes = Path(sys.argv[1]), sys.argv[2].split(",")
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[2:]) + "\\n")
for recipe in recipes:
    if recipe in (folder / "broken").read_text().split():
        sys.exit(f"some warning\\nquantize: {recipe} does not\\nfit")
"""


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Plan:
    def command(plan: Plan, recipes: list[str], *, scored: bool = False) -> list[str]:
        stand_in = [sys.executable, "-c", COMMAND, str(tmp_path), ",".join(recipes)]
        return [*stand_in, "scored"] if scored else stand_in

    monkeypatch.setattr(module, "quantize_command", command)
    return load_plan("cpu-demo", variants="gguf-q8_0,gguf-q2_k,gptq-int4-g128-vllm")


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_the_command_runs_in_control_as_everything_outside_an_environments_folder() -> None:
    command = quantize_command(load_plan("cpu-demo"), ["bf16"])
    assert command[:4] == [str(python_of("control")), "-m", "quantize", "make"]
    assert "--context-length" not in command


def test_a_plans_artifacts_are_scored_for_the_context_that_it_serves() -> None:
    plan = load_plan("cpu-demo")
    command = quantize_command(plan, ["bf16"], scored=True)
    assert command[-2:] == ["--context-length", str(plan.serving.context_length)]


def test_where_nothing_fails_one_command_makes_all(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("")
    assert make_what_can_be(plan) == {}
    assert calls(tmp_path) == [f"{','.join(recipe_names(plan))} scored"]


def test_the_reason_of_each_variant_is_the_commands_own(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("gptq-int4-g128 gguf-q2_k")
    assert make_what_can_be(plan) == {
        "gptq-int4-g128-vllm": "gptq-int4-g128 does not fit",
        "gguf-q2_k": "gguf-q2_k does not fit",
    }
    assert calls(tmp_path)[1] == "bf16"
    assert calls(tmp_path)[-1] == "bf16,gguf-bf16,gguf-q8_0 scored"


def test_what_is_made_from_a_failed_artifact_is_not_tried(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("gguf-bf16")
    failed = make_what_can_be(plan)
    assert failed["gguf-q8_0"] == (
        "it is made from gguf-bf16, which failed: gguf-bf16 does not fit"
    )
    assert set(failed) == {"gguf-q8_0", "gguf-q2_k"}
    assert "gguf-q8_0" not in calls(tmp_path)


def test_without_the_baselines_artifact_the_stage_fails(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("bf16")
    with pytest.raises(StageError, match="quantize failed"):
        make_what_can_be(plan)
    assert calls(tmp_path)[1:] == ["bf16"]


def test_what_the_model_does_not_allow_is_left_out_before_anything_is_made(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").write_text("")
    monkeypatch.setattr(module, "ARTIFACTS_DIR", tmp_path / "artifacts")
    model = make_tiny_model(tmp_path / "model", intermediate_size=352, layers=1)
    narrow = plan.model_copy(update={"model": str(model)})
    reasons = left_out(narrow)
    assert set(reasons) == {"gptq-int4-g128-vllm"}
    assert "rows of 352 values; gptq-int4-g128 needs a multiple of 128" in next(
        iter(reasons.values())
    )
    with pytest.raises(ValueError, match=r"gptq-int4-g128-vllm: the down projections"):
        make_artifacts(narrow)
    assert make_what_can_be(narrow) == reasons
    assert calls(tmp_path) == ["bf16,gguf-bf16,gguf-q8_0,gguf-q2_k scored"]
    with pytest.raises(ValueError, match=r"the baseline gptq-int4-g128-vllm: the down proj"):
        make_what_can_be(narrow.model_copy(update={"baseline": "gptq-int4-g128-vllm"}))


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
