"""A Ray cluster of our own on this machine: how it is started, and what it is told.

It ends with its host process (``cluster.py``).
"""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import HTTPOptions
from ray.serve.exceptions import RayServeException

from deploy.api_keys import forget_keys, require_keys
from deploy.haproxy.ingress import LOOPBACK, NO_HAPROXY, SWITCH, bind_host, ingress_variables
from deploy.plan import Serving
from deploy.service import DeployError, ServiceRecord, kill_processes
from quantize.processors import usable_cpus
from services.http.keys import digest_of

_TOKEN_VARIABLE = "RAY_AUTH_TOKEN_PATH"
OBJECT_STORE_BYTES = 150 * 2**20
# Ray's node dies when its agents have not begun within 15 s, which no setting changes and a busy
# machine can miss (``WaitForDashboardAgentPorts`` in the raylet); Ray itself notices after 30.
RAY_ATTEMPTS = 6
# Whatever else Ray waits for while it starts.
_START_S = 180
RAY_VARIABLES: Mapping[str, str] = {
    # An engine must die with the Ray worker that owns it.
    "RAY_process_group_cleanup_enabled": "1",
    # `uv run` in a parent process must not make Ray rebuild this environment for its workers.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Ray runs its workers at niceness 15, and an engine would inherit it: anything else on the
    # machine would starve it and spoil its figures.
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # By default 30 or 60 s.
    "RAY_gcs_server_port_wait_time_s": str(_START_S),
    "RAY_gcs_rpc_server_connect_timeout_s": str(_START_S),
    "RAY_py_gcs_connect_timeout_s": str(_START_S),
    # Attempts, a second apart. (The variable of the timeout is the pause between two of them.)
    "RAY_raylet_client_num_connect_attempts": str(_START_S),
    "RAY_agent_register_timeout_ms": str(_START_S * 1000),
    "RAY_worker_register_timeout_seconds": str(_START_S),
    # Nobody reads Ray's own metrics here: what engines and replicas tell comes by /metrics.
    "RAY_enable_metrics_collection": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Serve starts a proxy anew that failed three checks; by default, that takes half a minute.
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "0.5",
    # It kills one that is not ready in time, which a busy machine can miss in its 5 s.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
}


def start_cluster(record: ServiceRecord, serving: Serving) -> None:
    """Start a local Ray cluster of our own, with Serve's ingress at the plan's address.

    Ray listens on loopback (``deploy.up.own_cluster_environment``), and Serve's HTTP servers where
    the ingress says. Whoever is heard by Ray can run code: it asks everybody for a token, which is
    the deployment's own and lies in its folder. So do the ports by which Serve's replicas call each
    other, the only ones on all interfaces (``deploy.listeners``).
    """
    digests = tuple(map(digest_of, require_keys(serving)))
    os.environ.update(RAY_VARIABLES)
    # What Ray and the engines leave in temporary folders when killed goes with the cluster's.
    temporary = Path(record.ray_folder) / "tmp"
    temporary.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(temporary)
    os.environ[_TOKEN_VARIABLE] = str(_write_token(Path(record.ray_folder)))
    os.environ.update(ingress_variables(serving, digests, Path(record.ray_folder)))
    forget_keys(serving)
    if os.environ[SWITCH] == "0":
        print(NO_HAPROXY, flush=True)
    for attempt in range(1, RAY_ATTEMPTS + 1):
        try:
            ray.init(
                address="local",
                include_dashboard=False,
                num_cpus=usable_cpus(),
                object_store_memory=OBJECT_STORE_BYTES,
                _temp_dir=record.ray_folder,
                _node_ip_address=LOOPBACK,
                log_to_driver=False,
                logging_level="warning",
            )
            serve.start(http_options=HTTPOptions(host=bind_host(serving), port=serving.port))
            return
        except Exception as error:  # noqa: BLE001 (Ray raises a bare Exception for a slow start)
            if attempt == RAY_ATTEMPTS:
                raise DeployError(f"Ray did not start: {error}") from None
            print(
                f"host: Ray did not start (attempt {attempt} of {RAY_ATTEMPTS}: {error}); "
                "trying again",
                flush=True,
            )
            _clear_attempt(record)


def _write_token(folder: Path) -> Path:
    """Write a new token for Ray, for nobody else to read; returns the file's path."""
    path = folder / "auth_token"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
    return path


def _clear_attempt(record: ServiceRecord) -> None:
    """End what a start that failed has left.

    Ray forgets a node that was too slow to start: its processes would stay beside the next one's.
    """
    if ray.is_initialized():
        with suppress(RayError, RayServeException, TimeoutError):
            serve.shutdown()
    ray.shutdown()
    kill_processes(record.deployment, record.ray_folder)
