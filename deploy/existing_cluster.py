"""A Ray cluster that is not ours: we are its guests.

We deploy Serve applications whose names carry our deployment's mark, and take exactly those away
again; nodes, Serve of others and their applications are left alone. What can go wrong is looked
for before anything is deployed.
"""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.context import _get_global_client
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from deploy import node_check
from deploy.environments import MARKER, ROOT, VENVS, python_of
from deploy.placement import HEAD_RESOURCE, shortage
from deploy.plan import Plan
from deploy.serve_app import GATEWAY_ROUTE, demands, route_of
from deploy.service import MARK, DeployError
from deploy.settings import replica_settings

CODE = ("services", "quantize", "deploy")
CONNECT_TIMEOUT_S = 5.0
# A node's first worker imports Ray, which takes its time on a busy machine.
NODE_TIMEOUT_S = 90.0


class ClusterAddressError(ValueError):
    """RAY_ADDRESS that cannot be used; the message says what is needed instead."""


def gcs_address(text: str) -> tuple[str, int]:
    """Host and port of ``host:6379``, the address that ``ray start --head`` prints.

    Raises:
        ClusterAddressError: it is another kind of address.
    """
    host, _, port = text.rpartition(":")
    if "://" in text or not host or not port.isdigit():
        raise ClusterAddressError(
            f"RAY_ADDRESS: {text!r} is not host:port; give the address of the cluster's head as "
            "`ray start --head` prints it, such as 10.0.0.1:6379 (no ray:// client address: a "
            "service must be deployed from a node of the cluster)"
        )
    return host.strip("[]"), int(port)


def reachable(text: str) -> bool:
    """Whether something listens at the address."""
    try:
        with socket.create_connection(gcs_address(text), timeout=CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


def check_address(text: str) -> None:
    """Refuse an address that is wrong or where nothing listens.

    Raises:
        ClusterAddressError: with the remedy.
    """
    gcs_address(text)
    if not reachable(text):
        raise ClusterAddressError(
            f"RAY_ADDRESS: nothing listens at {text}; start the cluster first "
            f"({VENVS / 'control' / 'bin' / 'ray'} start --head --port=6379 on its head, "
            "ray start --address=… on the others)"
        )


def connect(address: str) -> None:
    """Join a cluster as a driver.

    Raises:
        DeployError: another version of Ray or Python, a missing token, no node on this machine.
    """
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except Exception as error:  # noqa: BLE001 (Ray has no common class for what fails here)
        reason = str(error.__cause__ or error).strip()
        raise DeployError(f"{_remedy(reason)} Ray says: {reason.splitlines()[-1]}") from None


def _remedy(reason: str) -> str:
    """What to do about a refused connection, by what Ray says of it."""
    if "ersion mismatch" in reason:
        return (
            "the cluster runs another Ray or Python than .venvs/control: start its nodes with "
            f"{VENVS / 'control' / 'bin' / 'ray'}."
        )
    if "uthentication" in reason:
        return (
            "the cluster wants a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to the "
            "cluster's token file (~/.ray/auth_token by default)."
        )
    return "the cluster cannot be joined: run this on one of its nodes."


def check_cluster(plan: Plan) -> None:
    """Hold the cluster we are connected to against what the plan needs.

    Raises:
        DeployError: this is not its head node, a node lacks our files, there is no room, or
            Serve runs there otherwise than the plan says.
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


def conflict(details: Mapping[str, Any] | None, plan: Plan) -> str | None:
    """Why the plan cannot be served beside what Serve serves already; None: it can."""
    if details is None:
        return None
    options = details["http_options"]
    if str(details["proxy_location"]) == "Disabled":
        return "Serve runs on this cluster without its HTTP proxies: it cannot serve a plan"
    if (options["host"], options["port"]) != (plan.serving.host, plan.serving.port):
        return (
            f"Serve runs on this cluster already and listens on {options['host']}:"
            f"{options['port']}: set the plan's serving.host and serving.port to that"
        )
    wanted = {GATEWAY_ROUTE, *map(route_of, plan.variants)}
    for name, application in details["applications"].items():
        if application["route_prefix"] in wanted:
            return (
                f"the application {name!r} on this cluster has the route "
                f"{application['route_prefix']} that the plan needs; it is not ours to stop"
            )
    return None


def needed_files(plan: Plan) -> list[str]:
    """The files every node must have, the same as this machine."""
    replicas = replica_settings(plan)
    environments = {"control"} | {item.engine.environment for item in plan.resolved_variants()}
    return [
        *(str(python_of(name)) for name in sorted(environments)),
        *(str(VENVS / name / MARKER) for name in sorted(environments)),
        *(str(Path(item.artifact) / "manifest.json") for item in replicas),
        *(str(path) for folder in CODE for path in sorted((ROOT / folder).rglob("*.py"))),
    ]


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


def application_name(deployment: str, name: str) -> str:
    """The name of an application that is ours for certain: no other deployment has its mark."""
    return f"assay-{deployment[:12]}-{name}"


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
