"""The service that is measured: the product's cluster, ingress and replica, of our own."""

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import ray
from ray import serve

from deploy.plan import Plan
from deploy.ray_cluster.cluster import start_sweeper
from deploy.ray_cluster.own_cluster import start_cluster
from deploy.ray_cluster.serve_app import GATEWAY, QUIET, gateway_application, open_limit
from deploy.service import MARK, RUN_DIR, DeployError, ServiceRecord
from deploy.settings import gateway_settings, replica_settings
from quantize.jobs.environment import python_of
from quantize.jobs.lifeline import start_time
from services.engine.engine_settings import ReplicaSettings
from tests.benches.serving.deployment import BenchReplica
from tests.benches.serving.measured_service import BenchService, Child
from tests.benches.serving.null_variant import NAME

POLL_S = 0.5


def settings_of(plan: Plan) -> list[ReplicaSettings]:
    """The plan's replicas, and the null engine's beside them."""
    replicas = replica_settings(plan)
    null = replace(
        replicas[0],
        variant=NAME,
        python=str(python_of("control")),
        log=str(RUN_DIR / "logs" / f"{NAME}.log"),
        access_log=str(RUN_DIR / "logs" / "access" / f"{NAME}.jsonl"),
        engine_version=NAME,
    )
    return [null, *replicas]


@contextmanager
def bench_service(plan: Plan, say: Callable[[str], None]) -> Iterator[BenchService]:
    """Serve until the block ends.

    Raises:
        DeployError: Ray did not start, or an engine did not come up.
    """
    os.environ[MARK] = uuid.uuid4().hex
    born = start_time(os.getpid())
    assert born is not None
    record = ServiceRecord(
        deployment=os.environ[MARK],
        host_pid=os.getpid(),
        host_started=born,
        url=plan.serving.url,
        plan=plan.name,
        fingerprint="",
        variants=(NAME, *plan.variants),
        ray_folder=tempfile.mkdtemp(prefix="assay-"),
    )
    start_sweeper(record)
    try:
        start_cluster(record, plan.serving)
        settings = settings_of(plan)
        say(f"{len(settings)} engines start behind {plan.serving.url}")
        _deploy(plan, settings)
        children = {s.variant: _ready(s.variant, s.start_timeout_s) for s in settings}
        yield BenchService(port=plan.serving.port, children=children, record=record)
    finally:
        if ray.is_initialized():
            serve.shutdown()
        ray.shutdown()


def _deploy(plan: Plan, settings: list[ReplicaSettings]) -> None:
    limit = open_limit(settings)
    targets = [
        serve.RunTarget(
            target=serve.deployment(
                BenchReplica,
                name=item.variant,
                max_ongoing_requests=limit,
                ray_actor_options={"num_cpus": 0},
                logging_config=QUIET,
            ).bind(item),
            name=item.variant,
            route_prefix=f"/{item.variant}",
        )
        for item in settings
    ]
    gateway = replace(gateway_settings(plan), variants=tuple(item.variant for item in settings))
    entrance = gateway_application(gateway, limit)
    targets.append(serve.RunTarget(target=entrance, name=GATEWAY, route_prefix="/"))
    serve.run_many(targets)


def _ready(variant: str, timeout_s: float) -> Child:
    """Wait for a variant's engine; its replica says 503 until it is ready."""
    handle = serve.get_app_handle(variant)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (found := handle.child.remote().result(timeout_s=60)) is not None:
            port, key, pid = found
            return Child(port=port, key=key, pid=pid)
        time.sleep(POLL_S)
    reason = handle.reason.remote().result(timeout_s=60)
    raise DeployError(f"{variant} was not ready after {timeout_s:.0f} s: it is {reason}")
