"""Outlives the host for a moment, to clear away what a ``kill -9`` of it would leave.

Started by the host in a session of its own:
``python -m deploy.ray_cluster.sweeper PID DEPLOYMENT FOLDER``.
"""

import os
import sys

from deploy.service import MARK, clear, read_record, sweep
from quantize.jobs.lifeline import wait_until_gone


def main() -> None:
    """Wait for the host's end, then clear its deployment away."""
    pid, deployment, ray_folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    os.environ.pop(MARK, None)
    wait_until_gone(pid)
    record = read_record()
    if record is not None and record.deployment == deployment:
        clear(record)
    else:
        sweep(deployment, ray_folder)


if __name__ == "__main__":
    main()
