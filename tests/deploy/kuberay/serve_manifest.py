"""Serve a Serve configuration on a Ray cluster of this machine, as KubeRay's operator would.

``python -m tests.deploy.kuberay.serve_manifest FILE``; it ends, and all with it, at SIGTERM.
"""

import sys
import tempfile
import threading

import ray
import yaml
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

from deploy.ray_cluster.own_cluster import RAY_VARIABLES
from quantize.jobs.lifeline import terminate_as_interrupt

if __name__ == "__main__":
    with open(sys.argv[1]) as stream:
        config = ServeDeploySchema.model_validate(yaml.safe_load(stream))
    with tempfile.TemporaryDirectory(prefix="assay-", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=100 * 2**20,
            runtime_env={"env_vars": dict(RAY_VARIABLES)},
            _temp_dir=folder,
            log_to_driver=False,
        )
        terminate_as_interrupt()
        try:
            serve.start(
                proxy_location=config.proxy_location,
                http_options=config.http_options.model_dump(exclude_unset=True),
            )
            _get_global_client().deploy_apps(config)
            threading.Event().wait()
        except KeyboardInterrupt:
            serve.shutdown()
            ray.shutdown()
