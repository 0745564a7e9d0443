"""Whether a plan can be served on an existing Ray cluster: decided before anything is deployed."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.plan import Plan
from deploy.settings import GATEWAY_ROUTE, replica_settings, route_of
from deploy.setup.environments import MARKER
from quantize.jobs.environment import python_of
from quantize.root import ROOT, VENVS

CODE = ("services", "quantize", "deploy")
CONNECT_TIMEOUT_S = 5.0


class ClusterAddressError(ValueError):
    """An address that cannot be used; the message says what is needed instead."""


def gcs_address(text: str) -> tuple[str, int]:
    """Host and port of ``host:6379``, the address that ``ray start --head`` prints.

    Raises:
        ClusterAddressError: it is another kind of address.
    """
    host, _, port = text.rpartition(":")
    if "://" in text or not host or not port.isdigit():
        raise ClusterAddressError(
            f"--ray-address: {text!r} is not host:port; give the address of the cluster's head as "
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
            f"--ray-address: nothing listens at {text}; start the cluster first "
            f"({VENVS / 'control' / 'bin' / 'ray'} start --head --port=6379 on its head, "
            "ray start --address=… on the others)"
        )


def refusal_of(said: str) -> str:
    """Why a cluster refused us and what to do about it, by what Ray says."""
    said = said.strip()
    ours = VENVS / "control" / "bin" / "ray"
    if "ersion mismatch" in said:
        told = f"the cluster runs another Ray or Python than {ours}: start its nodes with that."
        return f"{told} Ray says: {' '.join(said.split())}"
    if "uthentication" in said:
        told = (
            "the cluster wants a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to the "
            "file that holds it (~/.ray/auth_token where Ray made one)."
        )
    else:
        told = "the cluster cannot be joined: run this on one of its nodes."
    return f"{told} Ray says: {said.splitlines()[-1].strip()}"


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


def application_name(deployment: str, name: str) -> str:
    """The name of an application that is ours for certain: no other deployment has its mark."""
    return f"assay-{deployment[:12]}-{name}"
