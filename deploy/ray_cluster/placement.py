"""What each variant asks of the nodes of a Ray cluster, and whether the nodes have it.

Ray spreads replicas over the nodes as far as it can; what a variant reserves here is what keeps
engines from piling up on one of them. A cluster of our own is one machine and reserves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.machine_check import engine_device
from deploy.plan import Plan
from deploy.plan_sections import Placement
from quantize.machine import probe_machine

HEAD_RESOURCE = "node:__internal_head__"


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one variant reserves: CPUs, GPUs, custom resources."""

    cpus: float = 0.0
    gpus: float = 0.0
    resources: Mapping[str, float]

    def actor_options(self) -> dict[str, Any]:
        """The same as Ray's actor options."""
        return {
            "num_cpus": self.cpus,
            "num_gpus": self.gpus,
            "resources": dict(self.resources),
        }

    def amounts(self) -> dict[str, float]:
        """The same by the names of Ray's resources, without what is zero."""
        named = {"CPU": self.cpus, "GPU": self.gpus, **self.resources}
        return {name: amount for name, amount in named.items() if amount}


NOTHING = Demand(resources={})


def demand_of(placement: Placement, *, threads: int | None, on_gpu: bool) -> Demand:
    """What a variant reserves, with the plan's gaps filled in."""
    return Demand(
        cpus=float(threads or 1) if placement.cpus is None else placement.cpus,
        gpus=float(on_gpu) if placement.gpus is None else placement.gpus,
        resources=dict(placement.resources),
    )


def shortage(demands: Mapping[str, Demand], nodes: Sequence[Mapping[str, float]]) -> str | None:
    """Which variant finds no room on ``nodes`` (each: amounts by resource); None: all do.

    First fit of the largest first, as no scheduler promises more.
    """
    free = [dict(node) for node in nodes]
    for name, demand in sorted(demands.items(), key=lambda item: -sum(item[1].amounts().values())):
        wanted = demand.amounts()
        node = next((node for node in free if _fits(wanted, node)), None)
        if node is None:
            asks = " and ".join(f"{amount:g} {what}" for what, amount in wanted.items())
            has = "; ".join(
                ", ".join(f"{node.get(what, 0):g} {what}" for what in wanted) for node in free
            )
            return (
                f"no node has room for {name}: it reserves {asks}, and the nodes have left, once "
                f"the others are placed: {has}; lower the plan's placement, deploy fewer variants "
                "(VARIANTS=…), or add nodes"
            )
        for what, amount in wanted.items():
            node[what] -= amount
    return None


def _fits(wanted: Mapping[str, float], free: Mapping[str, float]) -> bool:
    return all(free.get(what, 0.0) >= amount for what, amount in wanted.items())


def demands(plan: Plan) -> dict[str, Demand]:
    """What every variant of the plan reserves on a node of a cluster that is not ours alone."""
    machine = probe_machine()
    return {
        item.name: demand_of(
            plan.placement,
            threads=plan.limits_of(item.name).threads,
            on_gpu=engine_device(item.engine, machine) != "cpu",
        )
        for item in plan.resolved_variants()
    }
