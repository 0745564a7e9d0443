"""``python -m ….withdraw ADDRESS DEPLOYMENT [--with-serve]``: leave an existing cluster.

For a host that cannot do it itself any more. A cluster that is gone has taken the applications
along, so there is nothing left to do.
"""

import argparse
import sys

from deploy.ray_cluster.cluster_check import reachable
from deploy.ray_cluster.existing_cluster import connect, withdraw
from deploy.service import DeployError


def main() -> int:
    """Take the deployment's applications away; exit code 1 with a reason when they did not go."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.ray_cluster.withdraw", description=__doc__
    )
    parser.add_argument("address")
    parser.add_argument("deployment")
    parser.add_argument("--with-serve", action="store_true", help="Serve was started for it")
    arguments = parser.parse_args()
    if not reachable(arguments.address):
        print(f"the cluster at {arguments.address} is gone, and what ran on it", flush=True)
        return 0
    try:
        connect(arguments.address)
        withdraw(arguments.deployment, owns_serve=arguments.with_serve)
    except (DeployError, TimeoutError) as error:
        print(f"the applications are still on {arguments.address}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
