"""A plan on a machine: what each variant needs there, and what its engines are told.

covers: deploy/residency/needs.py
"""

from typing import Any

import pytest

import deploy.resident_plan as module
from deploy.plan import Plan, PlanError, load_plan
from deploy.plan_variants import Limits
from deploy.resident_plan import owner_settings, residency_of, why_alone, with_shares
from deploy.settings import serving_identity
from quantize.machine import CPU_NAME, Machine
from quantize.sizing.capacity import GIB
from quantize.source.model_shape import ShapeError

PLAN = load_plan("cpu-demo", variants="bf16-vllm,gguf-bf16,gguf-q8_0")
H100 = Machine(device="hopper", name="H100", memory_bytes=80 * GIB)
CPU = Machine(device="cpu", name=CPU_NAME)


def served(**serving: Any) -> Plan:
    return PLAN.model_copy(update={"serving": PLAN.serving.model_copy(update=serving)})


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "probe_machine", lambda: CPU)
    monkeypatch.setattr(module, "engine_device", lambda _engine, _machine: "cpu")


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "probe_machine", lambda: H100)
    monkeypatch.setattr(module, "engine_device", lambda _engine, machine: machine.device)


def sizes(plan: Plan) -> dict[str, float]:
    residency = residency_of(plan)
    assert residency is not None
    return {name: need.size_bytes / GIB for name, need in residency.needs.items()}


@pytest.mark.usefixtures("on_cpu")
def test_on_a_cpu_processes_weights_and_cache_are_counted_and_a_bound_is_taken_at_its_word() -> (
    None
):
    found = sizes(PLAN)
    assert found["bf16-vllm"] > 1.75 + 0.5
    assert 0.4 + 0.5 < found["gguf-q8_0"] < found["gguf-bf16"] < 1.2
    assert sizes(served(memory_gib=3.0)) == dict.fromkeys(PLAN.variants, 3.0)


@pytest.mark.usefixtures("on_cpu")
def test_a_budget_in_the_plan_decides_between_together_and_turns() -> None:
    modes = {}
    for gib in (1, 64):
        residency = residency_of(served(residency_gib=gib))
        assert residency is not None
        modes[gib] = residency.mode
        assert owner_settings(residency).room["machine"] == gib * GIB
    assert modes == {1: "turns", 64: "together"}
    assert "of which 1.0 GiB may be taken" in str(why_alone(served(residency_gib=1)))
    assert why_alone(served(residency_gib=64)) is None
    assert "serving.one_at_a_time" in str(why_alone(served(one_at_a_time=True)))


@pytest.mark.usefixtures("on_gpu")
def test_on_a_gpu_engines_that_take_a_share_get_one_and_are_measured_apart_for_it() -> None:
    residency = residency_of(PLAN)
    assert residency is not None
    told = with_shares(PLAN, residency)
    share = told.limits_of("bf16-vllm").tuning.memory_share
    assert share == residency.shares["bf16-vllm"]
    assert share is not None
    assert 2 < share * 80 < 4, "the GPU's context, cache, workspace and the weights"
    assert told.limits_of("gguf-q8_0").tuning.memory_share is None
    assert serving_identity(told, "bf16-vllm") != serving_identity(PLAN, "bf16-vllm")


@pytest.mark.usefixtures("on_gpu")
def test_a_share_of_ones_own_is_kept_and_in_turns_the_whole_is() -> None:
    plan = load_plan("cpu-demo", variants="bf16-vllm,awq-int4-g128-vllm")
    own = plan.model_copy(
        update={"limits": {"bf16-vllm": Limits(memory_share=0.5)}, "serving": plan.serving}
    )
    assert sizes(own)["bf16-vllm"] == 40
    turns = plan.model_copy(
        update={"serving": plan.serving.model_copy(update={"residency": "turns"})}
    )
    assert sizes(turns) == pytest.approx(dict.fromkeys(plan.variants, 0.92 * 80))


@pytest.mark.usefixtures("on_gpu")
def test_together_where_there_is_no_room_is_a_fault_of_the_plan() -> None:
    with pytest.raises(PlanError, match=r"serving\.residency: together, but"):
        residency_of(served(residency="together", residency_gib=1))


@pytest.mark.usefixtures("on_gpu")
def test_an_engine_that_fills_the_gpu_and_takes_no_share_has_it_alone() -> None:
    plan = load_plan("cpu-demo", variants="bf16-vllm,bf16-trtllm")
    unsized = plan.model_copy(
        update={"serving": plan.serving.model_copy(update={"kv_cache_gib": None})}
    )
    residency = residency_of(unsized)
    assert residency is not None
    assert residency.mode == "turns"
    sized = residency_of(plan)
    assert sized is not None
    assert sized.mode == "together"


def test_where_no_size_is_known_each_has_the_gpu_alone_and_a_cpu_is_shared_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_asked: Any) -> None:
        raise ShapeError("no shape")

    monkeypatch.setattr(module, "what_recipes_read", unknown)
    monkeypatch.setattr(module, "probe_machine", lambda: H100)
    monkeypatch.setattr(module, "engine_device", lambda _engine, machine: machine.device)
    assert sizes(PLAN) == pytest.approx(dict.fromkeys(PLAN.variants, 0.92 * 80))
    assert why_alone(PLAN) is not None
    monkeypatch.setattr(module, "probe_machine", lambda: CPU)
    assert residency_of(PLAN) is None


def test_one_variant_alone_has_no_residency() -> None:
    alone = PLAN.model_copy(update={"variants": ("gguf-q8_0",)})
    assert residency_of(alone) is None
    assert with_shares(alone, None) is alone


def test_where_a_service_keeps_its_variants_changes_no_figure() -> None:
    other = served(residency="turns", residency_gib=3, residency_s=1)
    assert other.measuring_sha256() == PLAN.measuring_sha256()
    assert serving_identity(other, "bf16-vllm") == serving_identity(PLAN, "bf16-vllm")
