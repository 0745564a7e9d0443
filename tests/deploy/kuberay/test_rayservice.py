"""The RayService manifest: held against our tables, and its Serve configuration really served.

covers: deploy/kuberay/rayservice.yaml, deploy/ray_cluster/serve_app.py,
    deploy/ray_cluster/sweeper.py
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.haproxy.ingress import SERVE_VARIABLES
from deploy.plan import load_plan
from deploy.settings import GATEWAY_ROUTE, route_of
from deploy.setup.environments import PINS
from quantize.root import ROOT
from tests.assay_command import ASSAY

MANIFEST = ROOT / "deploy" / "kuberay" / "rayservice.yaml"
PORT = 8768
# Of KubeRay's RayServiceSpec and RayClusterSpec (ray-operator/apis/ray/v1).
SPEC_FIELDS = {"serveConfigV2", "rayClusterConfig"}
CLUSTER_FIELDS = {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
GROUP_FIELDS = {
    "groupName",
    "replicas",
    "minReplicas",
    "maxReplicas",
    "rayStartParams",
    "template",
}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    content = yaml.safe_load(MANIFEST.read_text())
    assert (content["apiVersion"], content["kind"]) == ("ray.io/v1", "RayService")
    found: dict[str, Any] = content["spec"]
    return found


@pytest.fixture(scope="module")
def config(spec: dict[str, Any]) -> dict[str, Any]:
    """The configuration of Serve inside the manifest."""
    found: dict[str, Any] = yaml.safe_load(spec["serveConfigV2"])
    return found


def pods(spec: dict[str, Any]) -> list[dict[str, Any]]:
    groups = [spec["rayClusterConfig"]["headGroupSpec"]]
    groups += spec["rayClusterConfig"]["workerGroupSpecs"]
    return [group["template"]["spec"] for group in groups]


def test_the_fields_are_those_of_the_operators_types(spec: dict[str, Any]) -> None:
    assert set(spec) == SPEC_FIELDS
    assert set(spec["rayClusterConfig"]) == CLUSTER_FIELDS
    assert set(spec["rayClusterConfig"]["headGroupSpec"]) == {"rayStartParams", "template"}
    for group in spec["rayClusterConfig"]["workerGroupSpecs"]:
        assert set(group) == GROUP_FIELDS
    starts = [spec["rayClusterConfig"]["headGroupSpec"]["rayStartParams"]]
    assert all(isinstance(value, str) for start in starts for value in start.values())


def test_the_clusters_ray_is_the_pinned_one(spec: dict[str, Any]) -> None:
    pins = (PINS / "control.txt").read_text()
    assert f"ray=={spec['rayClusterConfig']['rayVersion']}\n" in pins.replace("ray[serve]", "ray")


def test_every_variant_of_the_plan_has_its_application(config: dict[str, Any]) -> None:
    plan = load_plan("container")
    routes = {app["name"]: app["route_prefix"] for app in config["applications"]}
    assert routes == {"gateway": GATEWAY_ROUTE} | {name: route_of(name) for name in plan.variants}
    for app in config["applications"]:
        expected = {"plan": plan.name}
        if app["name"] != "gateway":
            expected["variant"] = app["name"]
        assert app["args"] == expected
        kind = "gateway" if app["name"] == "gateway" else "variant"
        assert app["import_path"] == f"deploy.ray_cluster.serve_app:{kind}"
    assert config["http_options"] == {"host": plan.serving.host, "port": plan.serving.port}
    assert config["proxy_location"] == "EveryNode"


def test_no_pod_runs_as_root_or_holds_a_key(spec: dict[str, Any]) -> None:
    for pod in pods(spec):
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            env = {item["name"]: item for item in container["env"]}
            assert env["ASSAY_API_KEYS"]["valueFrom"]["secretKeyRef"]["name"] == "assay-api-keys"
            assert {name: env[name]["value"] for name in SERVE_VARIABLES} == SERVE_VARIABLES
            assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
                "/assay/artifacts"
            }


def test_the_head_runs_no_engine_and_its_readiness_waits_for_no_application(
    spec: dict[str, Any],
) -> None:
    head = spec["rayClusterConfig"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert "readinessProbe" not in head["template"]["spec"]["containers"][0]


def test_the_cpu_workers_have_room_for_every_variant(spec: dict[str, Any]) -> None:
    (group,) = (g for g in spec["rayClusterConfig"]["workerGroupSpecs"] if g["groupName"] == "cpu")
    container = group["template"]["spec"]["containers"][0]
    cpus = int(container["resources"]["requests"]["cpu"]) * group["replicas"]
    assert cpus >= len(load_plan("container").variants)
    assert container["readinessProbe"]["httpGet"]["path"] == "/-/healthz"


def await_ready(url: str, process: subprocess.Popen[str], limit_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answer = httpx.get(f"{url}/healthz", timeout=5)
        except httpx.HTTPError:
            time.sleep(0.5)
            continue
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()
            return found
        time.sleep(0.5)
    process.kill()
    pytest.fail(f"not ready (exit code {process.poll()})")


@pytest.mark.engine
def test_its_serve_configuration_serves_a_variant(tmp_path: Path, config: dict[str, Any]) -> None:
    plan = tmp_path / "plan.yaml"
    limits = {"port": PORT, "context_length": 512, "threads": 1, "kv_cache_gib": 0.25}
    content = {"name": "kuberay", "variants": ["gguf-q8_0"], "baseline": "gguf-q8_0"}
    plan.write_text(yaml.safe_dump(content | {"serving": limits}))
    deploy = [*ASSAY, "quantize", "--plan", str(plan)]
    subprocess.run(deploy, check=True, cwd=ROOT)
    kept = [app for app in config["applications"] if app["name"] in {"gateway", "gguf-q8_0"}]
    for app in kept:
        app["args"]["plan"] = str(plan)
    served = {**config, "applications": kept, "http_options": {"host": "127.0.0.1", "port": PORT}}
    file = tmp_path / "serve.json"
    file.write_text(json.dumps(served))
    command = [sys.executable, "-m", "tests.deploy.kuberay.serve_manifest", str(file)]
    url = f"http://127.0.0.1:{PORT}"
    with subprocess.Popen(command, cwd=ROOT, text=True) as process:
        try:
            health = await_ready(url, process, 240)
            assert set(health["variants"]) == {"gguf-q8_0"}
            body = {"model": "gguf-q8_0", "prompt": "The capital of", "max_tokens": 3}
            assert httpx.post(f"{url}/v1/completions", json=body, timeout=30).status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
