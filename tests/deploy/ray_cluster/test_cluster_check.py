"""A guest on a cluster: what is refused before anything is deployed, and what is ours there.

covers: deploy/ray_cluster/existing_cluster.py, deploy/ray_cluster/withdraw.py
"""

import socket
import subprocess
import sys

import pytest

from deploy.plan import load_plan
from deploy.ray_cluster.cluster_check import (
    ClusterAddressError,
    application_name,
    check_address,
    conflict,
    gcs_address,
    needed_files,
    refusal_of,
)
from tests.assay_command import ASSAY

PLAN = load_plan("cpu-demo", variants="gguf-q8_0")
SERVE = {
    "http_options": {"host": "127.0.0.1", "port": 8000},
    "proxy_location": "EveryNode",
    "applications": {},
}


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_address_is_that_of_the_clusters_head() -> None:
    assert gcs_address("10.0.0.1:6379") == ("10.0.0.1", 6379)
    assert gcs_address("[fd00::1]:6379") == ("fd00::1", 6379)


@pytest.mark.parametrize("text", ["ray://10.0.0.1:10001", "auto", "10.0.0.1", "head:", ":6379"])
def test_another_kind_of_address_is_refused_with_the_right_one(text: str) -> None:
    with pytest.raises(ClusterAddressError, match=r"is not host:port.*10\.0\.0\.1:6379"):
        gcs_address(text)


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    with pytest.raises(ClusterAddressError, match="nothing listens at"):
        check_address(f"127.0.0.1:{closed_port()}")


def test_the_command_tells_a_wrong_address_in_one_line() -> None:
    command = [*ASSAY, "up", "--variants", "gguf-q8_0"]
    done = subprocess.run(
        [*command, "--ray-address", "ray://head:10001"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr.startswith("assay up: --ray-address: 'ray://head:10001' is not host:port")
    assert "Traceback" not in done.stderr


def test_a_plan_fits_beside_a_serve_that_listens_where_the_plan_says() -> None:
    assert conflict(None, PLAN) is None
    neighbour = {"applications": {"theirs": {"route_prefix": "/theirs"}}}
    assert conflict(SERVE | neighbour, PLAN) is None


def test_a_serve_that_listens_elsewhere_is_told_with_the_key_to_change() -> None:
    elsewhere = SERVE | {"http_options": {"host": "0.0.0.0", "port": 80}}
    assert "listens on 0.0.0.0:80: set the plan's serving.host" in str(conflict(elsewhere, PLAN))


@pytest.mark.parametrize("route", ["/", "/gguf-q8_0"])
def test_a_route_that_somebody_has_is_not_taken_from_them(route: str) -> None:
    theirs = SERVE | {"applications": {"theirs": {"route_prefix": route}}}
    told = str(conflict(theirs, PLAN))
    assert f"'theirs' on this cluster has the route {route} " in told
    assert "not ours to stop" in told


def test_a_serve_without_proxies_is_refused() -> None:
    assert "without its HTTP proxies" in str(conflict(SERVE | {"proxy_location": "Disabled"}, PLAN))


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Version mismatch: The cluster was started with:\n    Ray: 2.9", "another Ray or Python"),
        ("RPC error: InvalidAuthToken: Authentication token is missing", "RAY_AUTH_MODE=token"),
        ("No node info found", "run this on one of its nodes"),
    ],
)
def test_a_refused_connection_is_told_with_its_remedy(said: str, remedy: str) -> None:
    told = refusal_of(said)
    assert remedy in told
    assert said.splitlines()[-1].strip() in told


def test_an_application_is_ours_by_its_name_alone() -> None:
    ours = application_name("0123456789abcdef", "gguf-q8_0")
    assert ours.startswith(application_name("0123456789abcdef", ""))
    assert not ours.startswith(application_name("fedcba9876543210", ""))


def test_every_node_needs_the_engines_environment_the_artifact_and_the_code() -> None:
    plan = PLAN.model_copy(update={"variants": ("gguf-q8_0",)})
    files = needed_files(plan)
    for part in (
        ".venvs/llamacpp/bin/python",
        ".venvs/control/assay-environment.json",
        "gguf-q8_0/manifest.json",
        "services/http/relay.py",
        "deploy/ray_cluster/serve_app.py",
    ):
        assert any(path.endswith(part) for path in files), part
    assert not any("/vllm/" in path for path in files)


def test_leaving_a_cluster_that_is_gone_is_no_failure() -> None:
    address = f"127.0.0.1:{closed_port()}"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.ray_cluster.withdraw", address, "0123456789abcdef"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"the cluster at {address} is gone, and what ran on it\n"
