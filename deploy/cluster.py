"""Ray Serve, owned by one host process: one application per variant, and the gateway.

The host runs in the foreground (``python -m deploy host``); ``up`` starts it in the background
and waits. Ending the host ends the cluster, and nothing else on the machine.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import ray
from ray import serve
from ray.serve.config import HTTPOptions

from deploy.service import DeployError, ServiceRecord, write_record
from services.deployments import Gateway, VariantReplica
from services.gateway import GatewaySettings
from services.replica_settings import ReplicaSettings

OBJECT_STORE_BYTES = 150 * 2**20
GATEWAY = "gateway"
# Ray gives its node 30 s to start, which a busy machine can miss.
RAY_ATTEMPTS = 3
RAY_VARIABLES: Mapping[str, str] = {
    # An engine must die with the Ray worker that owns it.
    "RAY_process_group_cleanup_enabled": "1",
    # `uv run` in a parent process must not make Ray rebuild this environment for its workers.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Ray runs its workers at niceness 15, and an engine would inherit it: anything else on the
    # machine would starve it and spoil its figures.
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def start_cluster(record: ServiceRecord, host: str, port: int) -> None:
    """Start a local Ray cluster of our own with Serve's proxy on ``host:port``."""
    os.environ.update(RAY_VARIABLES)
    for attempt in range(1, RAY_ATTEMPTS + 1):
        try:
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _temp_dir=record.ray_folder,
                log_to_driver=False,
                logging_level="warning",
            )
            break
        except Exception as error:  # noqa: BLE001 (Ray raises a bare Exception for a slow start)
            if attempt == RAY_ATTEMPTS:
                raise DeployError(f"Ray did not start: {error}") from None
            print(f"host: Ray did not start ({error}); trying again", flush=True)
            ray.shutdown()
    serve.start(http_options=HTTPOptions(host=host, port=port))


def run_applications(replicas: list[ReplicaSettings], gateway: GatewaySettings, limit: int) -> None:
    """Deploy every variant and the gateway; returns when Serve runs
    them, while their engines may still be loading.

    ``limit`` is Serve's own bound on open requests of a replica: a backstop above our own.
    """
    targets = []
    for settings in replicas:
        deployment = serve.deployment(
            VariantReplica,
            name=settings.variant,
            num_replicas=1,
            max_ongoing_requests=limit,
            ray_actor_options={"num_cpus": 0},
            graceful_shutdown_timeout_s=15,
        )
        target = deployment.bind(settings)
        prefix = f"/{settings.variant}"
        targets.append(serve.RunTarget(target=target, name=settings.variant, route_prefix=prefix))
    entrance = serve.deployment(
        Gateway,
        name=GATEWAY,
        num_replicas=1,
        max_ongoing_requests=limit * max(1, len(replicas)),
        ray_actor_options={"num_cpus": 0},
    )
    targets.append(serve.RunTarget(target=entrance.bind(gateway), name=GATEWAY, route_prefix="/"))
    serve.run_many(targets)


def start_sweeper(record: ServiceRecord) -> None:
    """Start the process that clears away what a killed host would leave."""
    arguments = [str(record.host_pid), record.deployment, record.ray_folder]
    variables = {key: value for key, value in os.environ.items() if key != "ASSAY_DEPLOYMENT"}
    subprocess.Popen(
        [sys.executable, "-m", "deploy.sweeper", *arguments],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=variables,
        cwd=Path(__file__).parent.parent,
    )


def host(
    record: ServiceRecord,
    address: tuple[str, int],
    replicas: list[ReplicaSettings],
    gateway: GatewaySettings,
) -> None:
    """Run the service until SIGTERM or Ctrl-C (KeyboardInterrupt), then take it down."""
    write_record(record)
    start_sweeper(record)
    limit = max(item.max_sequences + item.queue_length for item in replicas) * 2 + 100
    try:
        start_cluster(record, *address)
        run_applications(replicas, gateway, limit)
        threading.Event().wait()
    except KeyboardInterrupt:
        print("host: stopping", flush=True)
    finally:
        serve.shutdown()
        ray.shutdown()
