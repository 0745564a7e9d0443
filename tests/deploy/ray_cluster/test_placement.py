"""What a variant reserves, and whether the nodes have room for all.

covers: deploy/plan_sections.py
"""

import pytest

from deploy.plan import Plan, load_plan
from deploy.plan_sections import Placement
from deploy.ray_cluster.placement import NOTHING, Demand, demand_of, demands, shortage


def cpus(amount: float) -> Demand:
    return Demand(cpus=amount, resources={})


def test_a_variant_reserves_its_threads_and_a_gpu_where_its_engine_uses_one() -> None:
    assert demand_of(Placement(), threads=4, on_gpu=True) == Demand(cpus=4, gpus=1, resources={})
    assert demand_of(Placement(), threads=None, on_gpu=False) == cpus(1)


def test_what_the_plan_says_stands_above_what_would_be_guessed() -> None:
    placement = Placement(cpus=0, gpus=0.5, resources={"assay": 1})
    demand = demand_of(placement, threads=4, on_gpu=True)
    assert demand == Demand(cpus=0, gpus=0.5, resources={"assay": 1})
    assert demand.amounts() == {"GPU": 0.5, "assay": 1}
    assert demand.actor_options() == {"num_cpus": 0, "num_gpus": 0.5, "resources": {"assay": 1}}


def test_everything_fits_when_the_largest_is_placed_first() -> None:
    nodes = [{"CPU": 4.0}, {"CPU": 2.0}]
    assert shortage({"a": cpus(2), "b": cpus(4)}, nodes) is None
    assert nodes == [{"CPU": 4.0}, {"CPU": 2.0}]


def test_room_in_all_nodes_together_is_no_room_in_any() -> None:
    reason = shortage({"bf16-vllm": cpus(3)}, [{"CPU": 2.0}, {"CPU": 2.0}])
    assert reason is not None
    assert "no node has room for bf16-vllm: it reserves 3 CPU" in reason
    assert "2 CPU; 2 CPU" in reason


def test_a_custom_resource_that_no_node_offers_is_told() -> None:
    reason = shortage({"a": Demand(resources={"assay": 1})}, [{"CPU": 64.0}])
    assert reason is not None
    assert "1 assay" in reason
    assert "0 assay" in reason


def test_nothing_asked_fits_everywhere() -> None:
    assert shortage({"a": NOTHING, "b": NOTHING}, [{}]) is None


def test_the_limits_of_a_variant_decide_what_it_reserves() -> None:
    plan = load_plan("cpu-demo", variants="gguf-q8_0,gguf-q2_k")
    content = plan.model_dump(mode="json") | {"limits": {"gguf-q2_k": {"threads": 3}}}
    asked = demands(Plan.model_validate(content))
    assert {name: demand.cpus for name, demand in asked.items()} == {
        "bf16-vllm": 1,
        "gguf-q8_0": 1,
        "gguf-q2_k": 3,
    }


def test_a_resource_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Placement(resources={"assay": 0})
