"""Start a cluster whose Ray fails so many times first; told as JSON.

A process of its own, as importing Ray Serve warns of what pytest takes for errors:
``python -m tests.deploy.ray_cluster.start_slowly RAY_FOLDER FAILURES``. In Ray's place stands one
that leaves a daemon with each start, as Ray does when it is too slow; every start tells how many
daemons it met.
"""

import json
import os
import subprocess
import sys
from typing import Any

import ray
from ray import serve

from deploy.plan import Serving
from deploy.ray_cluster.own_cluster import start_cluster
from deploy.service import MARK, DeployError, ServiceRecord, kill_processes
from quantize.jobs.lifeline import start_time

# Of this process alone: the same test may run twice on a machine.
DEPLOYMENT = f"starts-slowly-{os.getpid()}"


class SlowRay:
    """Stands in for ``ray``: the first starts fail."""

    def __init__(self, failures: int) -> None:
        self.met: list[int] = []
        self.daemons: list[subprocess.Popen[bytes]] = []
        self._failures = failures

    def init(self, **_options: Any) -> None:
        """Start a daemon, and fail or not."""
        self.met.append(self.alive())
        self.daemons.append(subprocess.Popen(["sleep", "300"]))
        if len(self.daemons) <= self._failures:
            # A bare one, as Ray raises it.
            raise Exception("The current node timed out during startup.")

    def alive(self) -> int:
        """How many of the daemons run."""
        return sum(daemon.poll() is None for daemon in self.daemons)


def main() -> None:
    """Start, tell, and end what is left."""
    ray_folder, failures = sys.argv[1], int(sys.argv[2])
    slow = SlowRay(failures)
    ray.init = slow.init
    serve.start = lambda **_options: None
    os.environ[MARK] = DEPLOYMENT
    record = ServiceRecord(
        deployment=DEPLOYMENT,
        host_pid=os.getpid(),
        host_started=start_time(os.getpid()) or 0,
        url="http://127.0.0.1:1",
        plan="small",
        fingerprint="f",
        variants=(),
        ray_folder=ray_folder,
    )
    error = None
    try:
        start_cluster(record, Serving())
    except DeployError as raised:
        error = str(raised)
    alive = slow.alive()
    kill_processes(DEPLOYMENT, ray_folder)
    print(json.dumps({"met": slow.met, "alive": alive, "error": error}))


if __name__ == "__main__":
    main()
