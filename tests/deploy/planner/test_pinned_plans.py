"""The plans that pin a choice say what the rules choose on machines as their tools describe them.

covers: deploy/plans/hopper.yaml, deploy/plans/blackwell.yaml, deploy/plans/dgx-spark.yaml
"""

import json
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml

from deploy import machine_check
from deploy.machine_check import check_machine
from deploy.plan import PLANS_DIR, PlanError, load_plan
from deploy.planner.rules import choose_plan
from quantize.machine import Machine, parse_gpus
from tests.deploy.planner.test_rules import LLAMA_70B, on_gpu
from tests.deploy.setup.machines import QUERIES
from tests.quantize.source.test_model_shape import LLAMA_8B

# Compute capabilities 9.0, 10.0 and 12.1.
PINNED = {"hopper": "h100", "blackwell": "b200", "dgx-spark": "dgx-spark"}


@pytest.mark.parametrize(("name", "query"), PINNED.items())
def test_a_pinned_plan_is_what_the_rules_choose_there(name: str, query: str) -> None:
    pinned = yaml.safe_load((PLANS_DIR / f"{name}.yaml").read_text())
    del pinned["model"]
    chosen = {**choose_plan(on_gpu(query)).content, "name": name}
    assert pinned == chosen


def machine(query: str) -> Machine:
    gpu = parse_gpus(QUERIES[query])[0]
    return Machine(device=gpu.device, name=gpu.name, memory_bytes=gpu.memory_bytes)


def written(folder: Path, config: object) -> str:
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture(autouse=True)
def gpu_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_check, "engine_version", lambda _engine: ("vllm", "1"))
    monkeypatch.setattr(machine_check, "read_marker", lambda _name: {"build": "cuda"})
    total = SimpleNamespace(total=128 * 10**9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: total)


@pytest.mark.parametrize(("name", "query"), PINNED.items())
def test_it_runs_on_its_machine(
    name: str, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_check, "probe_machine", lambda: machine(query))
    check_machine(load_plan(name, model=written(tmp_path, LLAMA_8B)))


@pytest.mark.parametrize(("name", "query"), PINNED.items())
def test_a_model_that_cannot_fit_is_refused_variant_by_variant(
    name: str, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_check, "probe_machine", lambda: machine(query))
    huge = {**LLAMA_70B, "num_hidden_layers": 160}
    with pytest.raises(PlanError, match=r"bf16-vllm needs .* GiB, .* has .* GiB"):
        check_machine(load_plan(name, model=written(tmp_path, huge)))


def test_several_gpus_for_one_engine_count_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_check, "probe_machine", lambda: machine("h100"))
    plan = load_plan("hopper", model=written(tmp_path, LLAMA_70B), variants="bf16-vllm")
    with pytest.raises(PlanError, match="bf16-vllm needs"):
        check_machine(plan)
    four = plan.model_copy(
        update={"serving": plan.serving.model_copy(update={"tensor_parallel": 4})}
    )
    check_machine(four)
