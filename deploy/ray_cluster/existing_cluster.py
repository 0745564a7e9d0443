"""A Ray cluster that is not ours: we are its guests.

We deploy Serve applications whose names carry our deployment's mark, and take exactly those away
again; nodes, Serve of others and their applications are left alone. What can go wrong is looked
for before anything is deployed.
"""

from collections.abc import Mapping
from typing import Any

import ray
from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.context import _get_global_client
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from deploy.plan import Plan
from deploy.ray_cluster import node_check
from deploy.ray_cluster.cluster_check import application_name, conflict, needed_files, refusal_of
from deploy.ray_cluster.placement import HEAD_RESOURCE, demands, shortage
from deploy.service import MARK, DeployError
from quantize.jobs.environment import python_of
from quantize.root import ROOT

# A node's first worker imports Ray, which takes its time on a busy machine.
NODE_TIMEOUT_S = 90.0


def connect(address: str) -> None:
    """Join a cluster as a driver.

    Raises:
        DeployError: another version of Ray or Python, a missing token, no node on this machine.
    """
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except Exception as error:  # noqa: BLE001 (Ray has no common class for what fails here)
        raise DeployError(refusal_of(str(error.__cause__ or error))) from None


def check_cluster(plan: Plan) -> None:
    """Hold the cluster we are connected to against what the plan needs.

    Raises:
        DeployError: this is not its head node, a node lacks our files, its nodes are too small, or
            Serve runs there otherwise than the plan says. What others reserve is not counted: a
            variant that finds no room for them waits.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    head = next(node for node in nodes if HEAD_RESOURCE in node["Resources"])
    if head["NodeID"] != ray.get_runtime_context().get_node_id():
        raise DeployError(
            f"this is not the cluster's head node: deploy from {head['NodeManagerAddress']}, where "
            "Serve always has a proxy"
        )
    reasons = [
        shortage(demands(plan), [node["Resources"] for node in nodes]),
        conflict(_serve_details(), plan),
        *_differences(plan, nodes),
    ]
    if found := [reason for reason in reasons if reason is not None]:
        raise DeployError("\n".join(found))


def _serve_details() -> Mapping[str, Any] | None:
    """What Serve tells of itself; None where it does not run yet."""
    client = _get_global_client(raise_if_no_controller_running=False)
    return None if client is None else client.get_serve_details()


def _differences(plan: Plan, nodes: list[Mapping[str, Any]]) -> list[str | None]:
    """What each node has otherwise than this machine, asked on the node itself."""
    paths = needed_files(plan)
    here = node_check.belongings(paths)
    ray.cloudpickle.register_pickle_by_value(node_check)
    ask = ray.remote(node_check.belongings)
    asked = {
        node["NodeManagerAddress"]: ask.options(
            num_cpus=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote(paths)
        for node in nodes
    }
    found: list[str | None] = []
    for address, answer in asked.items():
        try:
            there = ray.get(answer, timeout=NODE_TIMEOUT_S)
        except ray.exceptions.RayError as error:
            found.append(f"node {address} runs no task of ours: {error}")
        else:
            found.append(node_check.difference(address, ROOT, here, there))
    return found


def runtime_env(deployment: str) -> dict[str, Any]:
    """Ray's environment of our workers: our Python and code, marked as this deployment's."""
    return {
        "py_executable": str(python_of("control")),
        "env_vars": {"PYTHONPATH": str(ROOT), MARK: deployment},
    }


def start_serve(host: str, port: int) -> bool:
    """Start Serve with a proxy on every node that needs one; False: it runs already."""
    if _serve_details() is not None:
        return False
    serve.start(
        proxy_location=ProxyLocation.EveryNode, http_options=HTTPOptions(host=host, port=port)
    )
    return True


def withdraw(deployment: str, *, owns_serve: bool) -> list[str]:
    """Take our applications off the cluster, and Serve too when we started it and nobody else
    uses it; returns the applications' names.
    """
    details = _serve_details()
    if details is None:
        return []
    prefix = application_name(deployment, "")
    names = list(details["applications"])
    ours = [name for name in names if name.startswith(prefix)]
    for name in ours:
        serve.delete(name, _blocking=False)
    for name in ours:
        serve.delete(name)
    if owns_serve and ours == names:
        serve.shutdown()
    return ours
