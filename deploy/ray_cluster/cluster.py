"""Ray Serve, run by one host process: one application per variant, and the gateway.

The host runs in the foreground (``deploy.ray_cluster.host``); ``up`` starts it in the background
and waits. It owns a cluster on this machine, which ends with it; or it is a guest of an existing
cluster, from which it takes its applications away. Nothing else is ended.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve import RunTarget
from ray.serve.exceptions import RayServeException

from deploy.api_keys import forget_keys
from deploy.plan import Plan
from deploy.ray_cluster.cluster_check import application_name
from deploy.ray_cluster.existing_cluster import (
    check_cluster,
    connect,
    runtime_env,
    start_serve,
    withdraw,
)
from deploy.ray_cluster.own_cluster import start_cluster
from deploy.ray_cluster.placement import demands
from deploy.ray_cluster.serve_app import (
    GATEWAY,
    gateway_application,
    open_limit,
    variant_application,
)
from deploy.resident_plan import owner_settings, residency_of, with_shares
from deploy.service import (
    MARK,
    DeployError,
    ServiceRecord,
    remove_record,
    write_record,
)
from deploy.settings import GATEWAY_ROUTE, gateway_settings, replica_settings, route_of
from quantize.jobs.lifeline import terminate_as_interrupt
from quantize.root import ROOT


def own_targets(plan: Plan) -> list[RunTarget]:
    """The applications on a cluster of our own: they have the machine to themselves.

    Where not all variants may start at once, or be awake, the gateway says which.
    """
    residency = residency_of(plan)
    plan = with_shares(plan, residency)
    replicas, gateway = replica_settings(plan), gateway_settings(plan)
    if residency is not None and residency.one_by_one:
        gateway = replace(gateway, residency=owner_settings(residency))
        replicas = [
            replace(item, owner=GATEWAY, residency=residency.mode, residency_s=stay_s)
            for item in replicas
            for stay_s in [plan.serving.residency_s]
        ]
    limit = open_limit(replicas)
    return [
        *(
            RunTarget(
                target=variant_application(settings, limit),
                name=settings.variant,
                route_prefix=route_of(settings.variant),
            )
            for settings in replicas
        ),
        RunTarget(
            target=gateway_application(gateway, limit),
            name=GATEWAY,
            route_prefix=GATEWAY_ROUTE,
        ),
    ]


def guest_targets(plan: Plan, deployment: str) -> list[RunTarget]:
    """The applications on an existing cluster: marked as ours, and each reserves its room."""
    replicas = replica_settings(plan)
    limit, environment, asked = open_limit(replicas), runtime_env(deployment), demands(plan)
    return [
        *(
            RunTarget(
                target=variant_application(settings, limit, asked[settings.variant], environment),
                name=application_name(deployment, settings.variant),
                route_prefix=route_of(settings.variant),
            )
            for settings in replicas
        ),
        RunTarget(
            target=gateway_application(gateway_settings(plan), limit, environment),
            name=application_name(deployment, GATEWAY),
            route_prefix=GATEWAY_ROUTE,
        ),
    ]


def start_sweeper(record: ServiceRecord) -> None:
    """Start the process that clears away what a killed host would leave."""
    arguments = [str(record.host_pid), record.deployment, record.ray_folder]
    variables = {key: value for key, value in os.environ.items() if key != MARK}
    subprocess.Popen(
        [sys.executable, "-m", "deploy.ray_cluster.sweeper", *arguments],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=variables,
        cwd=ROOT,
    )


def drain(applications: Sequence[str], timeout_s: float) -> None:
    """Let every variant finish what it holds open, for ``timeout_s`` at most.

    Before Serve is shut down: that takes HAProxy away, and with it the streams through it.
    """
    try:
        asked = [serve.get_app_handle(name).drain.remote(timeout_s) for name in applications]
        until = time.monotonic() + timeout_s + 2
        left = [answer.result(timeout_s=max(0.1, until - time.monotonic())) for answer in asked]
    except (RayError, RayServeException, TimeoutError) as error:
        print(f"host: not all variants could be asked to drain: {error}", flush=True)
    else:
        if any(left):
            print(f"host: cut {sum(left)} requests, serving.drain_timeout_s is over", flush=True)


def host(record: ServiceRecord, plan: Plan) -> None:
    """Run the service until SIGTERM or Ctrl-C (KeyboardInterrupt), then take it down."""
    # Serve's own way to Ray would join the cluster that this names; only the user's option does.
    os.environ.pop("RAY_ADDRESS", None)
    write_record(record)
    start_sweeper(record)
    run = _run_own if record.ray_address is None else _run_as_guest
    run(record, plan)


def _run_own(record: ServiceRecord, plan: Plan) -> None:
    """Own a cluster that ends with this process."""
    targets = own_targets(plan)
    try:
        start_cluster(record, plan.serving)
        _serve_until_stopped(targets, plan.serving.drain_timeout_s)
    finally:
        # Without a cluster, Serve would start one only to shut it down.
        if ray.is_initialized():
            serve.shutdown()
        ray.shutdown()


def _run_as_guest(record: ServiceRecord, plan: Plan) -> None:
    """Serve on somebody's cluster, and take away what is ours in the end."""
    assert record.ray_address is not None
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    try:
        connect(record.ray_address)
    except DeployError:
        remove_record()
        raise
    try:
        check_cluster(plan)
        targets = guest_targets(plan, record.deployment)
        forget_keys(plan.serving)
        record = replace(record, owns_serve=start_serve(plan.serving.host, plan.serving.port))
        write_record(record)
        _serve_until_stopped(targets, plan.serving.drain_timeout_s)
    finally:
        withdraw(record.deployment, owns_serve=record.owns_serve)
        remove_record()
        ray.shutdown()


def _serve_until_stopped(targets: Sequence[RunTarget], drain_timeout_s: float) -> None:
    """Deploy, and wait for SIGTERM or Ctrl-C. Engines may still be loading when Serve runs them.

    Ray has put a handler of its own in the place of ours, which kills the process on SIGTERM
    while it is still draining and taking its applications away.
    """
    terminate_as_interrupt()
    try:
        serve.run_many(targets)
        threading.Event().wait()
    except KeyboardInterrupt:
        print("host: stopping", flush=True)
        variants = [target.name for target in targets if target.route_prefix != GATEWAY_ROUTE]
        drain(variants, drain_timeout_s)
