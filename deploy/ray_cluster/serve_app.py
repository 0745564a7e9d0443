"""The Serve applications of a plan: the one way to build them.

``deploy.ray_cluster.cluster`` builds them from settings, and a Serve configuration (KubeRay's
``serveConfigV2``) by import path: ``deploy.ray_cluster.serve_app:variant`` with the arguments
``plan`` and ``variant``, and ``deploy.ray_cluster.serve_app:gateway`` with ``plan``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application
from ray.serve.schema import LoggingConfig

from deploy.plan import DEFAULT_PLAN, PlanError, load_plan
from deploy.ray_cluster.placement import HEAD_RESOURCE, NOTHING, Demand, demands
from deploy.settings import gateway_settings, replica_settings
from services.deployments import Gateway, VariantReplica
from services.engine.engine_settings import ReplicaSettings
from services.gateway import GatewaySettings

GATEWAY = "gateway"
DRAIN_S = 15
# Our apps keep an access log of their own.
QUIET = LoggingConfig(enable_access_log=False)
# How often Serve looks whether a replica's process is there; by default, ten times as seldom.
HEALTH_CHECK_PERIOD_S = 1


class PlanArguments(BaseModel):
    """Which plan a Serve configuration serves: a file's path or a bundled plan's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plan: str = DEFAULT_PLAN
    model: str | None = None


class VariantArguments(PlanArguments):
    """Which of the plan's variants an application of a Serve configuration is."""

    variant: str


def variant(arguments: VariantArguments) -> Application:
    """The application of one variant, for a Serve configuration.

    Raises:
        PlanError: the plan has no such variant.
    """
    plan = load_plan(arguments.plan, model=arguments.model)
    if arguments.variant not in plan.variants:
        names = ", ".join(plan.variants)
        raise PlanError(f"variant: {arguments.variant!r} is not in the plan (valid: {names})")
    every = replica_settings(plan)
    (settings,) = (item for item in every if item.variant == arguments.variant)
    return variant_application(settings, open_limit(every), demands(plan)[settings.variant])


def gateway(arguments: PlanArguments) -> Application:
    """The gateway's application, for a Serve configuration."""
    plan = load_plan(arguments.plan, model=arguments.model)
    return gateway_application(gateway_settings(plan), open_limit(replica_settings(plan)))


def open_limit(replicas: Sequence[ReplicaSettings]) -> int:
    """Serve's own bound on open requests of a replica: a backstop above our own admission."""
    return max(item.places for item in replicas) * 2 + 100


def variant_application(
    settings: ReplicaSettings,
    limit: int,
    demand: Demand = NOTHING,
    runtime_env: Mapping[str, Any] | None = None,
) -> Application:
    """One variant's application; ``runtime_env`` is Ray's, for workers that are not ours yet."""
    options = demand.actor_options()
    if runtime_env:
        options["runtime_env"] = dict(runtime_env)
    deployment = serve.deployment(
        VariantReplica,
        name=settings.variant,
        num_replicas=1,
        max_ongoing_requests=limit,
        ray_actor_options=options,
        health_check_period_s=HEALTH_CHECK_PERIOD_S,
        graceful_shutdown_timeout_s=DRAIN_S,
        logging_config=QUIET,
    )
    return deployment.bind(settings)


def gateway_application(
    settings: GatewaySettings, limit: int, runtime_env: Mapping[str, Any] | None = None
) -> Application:
    """The gateway's application, on the head node: Serve has a proxy there whatever else dies."""
    options: dict[str, Any] = {"num_cpus": 0, "resources": {HEAD_RESOURCE: 0.001}}
    if runtime_env:
        options["runtime_env"] = dict(runtime_env)
    deployment = serve.deployment(
        Gateway,
        name=GATEWAY,
        num_replicas=1,
        max_ongoing_requests=limit * max(1, len(settings.variants)),
        ray_actor_options=options,
        logging_config=QUIET,
        health_check_period_s=HEALTH_CHECK_PERIOD_S,
    )
    return deployment.bind(settings)
