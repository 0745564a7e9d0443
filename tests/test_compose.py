"""compose.yaml, the image and the container's plan, held against what they must agree with.

covers: compose.yaml, deploy/docker/Dockerfile, deploy/plans/container.yaml
"""

import os
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from deploy.plan import load_plan
from deploy.setup.builds import choose_build
from deploy.setup.environments import ENVIRONMENTS, is_finished, lock_of
from deploy.setup.findings import Findings
from quantize.jobs.environment import python_of
from quantize.root import ROOT

COMPOSE = ROOT / "compose.yaml"
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
IGNORED = ROOT / "deploy" / "docker" / "Dockerfile.dockerignore"
PACKAGES = ("quantize", "services", "deploy", "loadtest", "eval")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def ours(services: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [services["assay"], services["assay-gpu"]]


@pytest.mark.engine
def test_it_keeps_the_compose_specification() -> None:
    if not is_finished(ENVIRONMENTS["compose"]):
        pytest.skip("the environment `compose` is not made (./assay setup compose)")
    check = [str(python_of("compose")), str(ROOT / "tests" / "check_compose.py")]
    done = subprocess.run([*check, str(COMPOSE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.optional
def test_dockers_own_client_takes_it() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"]).returncode:
        pytest.skip("no docker compose here")
    secrets = {"ASSAY_API_KEY": "0123456789abcdef", "GRAFANA_PASSWORD": "x"}
    command = [docker, "compose", "-f", str(COMPOSE), "--profile", "gpu", "config", "-q"]
    done = subprocess.run(command, env={**os.environ, **secrets}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_image_has_a_version_and_every_service_a_healthcheck_and_a_user(
    services: dict[str, dict[str, Any]],
) -> None:
    assert set(services) == {"assay", "assay-gpu", "prometheus", "grafana"}
    for service in services.values():
        _, _, tag = service["image"].partition(":")
        assert tag
        assert tag != "latest"
        assert service["healthcheck"]["test"][0] == "CMD"
        uid = service["user"].split(":")[0]
        assert uid.isdigit()
        assert int(uid) > 0
        assert "no-new-privileges:true" in service["security_opt"]
    assert all("build" in service for service in ours(services))


def test_nothing_is_published_beyond_loopback(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_service_serves_the_containers_plan_where_everything_expects_it(
    services: dict[str, dict[str, Any]],
) -> None:
    plan, demo = load_plan("container"), load_plan("cpu-demo")
    moved = demo.serving.model_copy(update={"host": plan.serving.host, "port": plan.serving.port})
    assert demo.model_copy(update={"name": plan.name, "serving": moved}) == plan
    assert plan.serving.host == "0.0.0.0"
    port = plan.serving.port
    for service in ours(services):
        assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert f"http://127.0.0.1:{port}/healthz" in service["healthcheck"]["test"][-1]
        assert service["command"][:2] == ["make", "serve"]
        assert f"PLAN=${{PLAN:-{plan.name}}}" in service["command"]
        assert plan.serving.api_keys_env in service["environment"]
        assert service["networks"]["default"]["aliases"] == ["assay"]
        targets = {volume.split(":")[1] for volume in service["volumes"]}
        assert targets == {"/assay/artifacts", "/assay/results", "/assay/.venvs"}
    grace_s = int(services["assay"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > plan.serving.drain_timeout_s
    assert f"EXPOSE {port}" in DOCKERFILE.read_text()


def test_prometheus_scrapes_the_service_by_its_name_and_grafana_finds_prometheus(
    services: dict[str, dict[str, Any]],
) -> None:
    scrape = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    (job,) = scrape["scrape_configs"]
    (discovery,) = job["http_sd_configs"]
    assert discovery["url"].startswith(f"http://assay:{load_plan('container').serving.port}/")
    prometheus = services["prometheus"]
    (secret,) = prometheus["secrets"]
    assert secret["target"] == f"/etc/prometheus/{job['authorization']['credentials_file']}"
    sources = ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((sources / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    port = prometheus["ports"][0].rsplit(":", 1)[1]
    assert source["url"] == f"http://prometheus:{port}"
    (provider,) = yaml.safe_load((sources / "dashboards" / "assay.yaml").read_text())["providers"]
    mounts = {v.split(":")[1]: v.split(":")[0] for v in services["grafana"]["volumes"]}
    assert mounts[provider["options"]["path"]] == "./deploy/grafana/dashboards"


def test_every_file_that_is_mounted_exists(services: dict[str, dict[str, Any]]) -> None:
    volumes = set(yaml.safe_load(COMPOSE.read_text())["volumes"])
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in volumes or (ROOT / source).exists(), source


def test_no_secret_stands_in_a_file() -> None:
    content = yaml.safe_load(COMPOSE.read_text())
    assert {name: list(secret) for name, secret in content["secrets"].items()} == {
        "api_key": ["environment"],
        "grafana_password": ["environment"],
    }
    assert content["services"]["assay"]["environment"]["ASSAY_API_KEYS"].startswith("${")


def test_the_image_holds_every_package_and_runs_the_projects_own_set_up() -> None:
    text = DOCKERFILE.read_text()
    for package in PACKAGES:
        assert f"COPY --chown=10001:10001 {package} {package}\n" in text
        assert f"!{package}\n" in IGNORED.read_text()
    assert "RUN make setup" in text
    assert 'BUILD="${BUILD}" ARCHITECTURES="${ARCHITECTURES}"' in text
    assert "ARG BUILD=cpu\n" in text
    assert text.index("USER 10001") < text.index("RUN make setup")
    assert 'CMD ["make", "serve",' in text
    assert ":latest" not in text


def test_the_gpu_image_holds_the_builds_of_its_own_cuda(
    services: dict[str, dict[str, Any]],
) -> None:
    assert "args" not in services["assay"]["build"]
    arguments = services["assay-gpu"]["build"]["args"]
    # No GPU is seen while it is built: what it is for must be asked for.
    found = Findings(processor="x86_64", nvcc=(13, 0))
    _, _, architectures = arguments["ARCHITECTURES"].removesuffix("}").partition(":-")
    build = choose_build(found, arguments["BUILD"], architectures).build
    assert (build.name, build.llama_cuda) == (arguments["BUILD"], architectures)
    major = build.name.removeprefix("cuda")
    assert arguments["BASE"].startswith(f"nvidia/cuda:{major}.")
    assert "-devel-" in arguments["BASE"], "nvcc compiles llama.cpp"
    lock = lock_of(ENVIRONMENTS["vllm"], build)
    assert lock is not None
    assert lock.parent.name == build.name
