"""Somebody else's application on the same cluster: ``… ….neighbour ADDRESS PORT``."""

import sys

import ray
from ray import serve
from ray.serve.config import HTTPOptions


class Neighbour:
    """Answers anything."""

    async def __call__(self, _request: object) -> str:
        return "still here"


if __name__ == "__main__":
    ray.init(address=sys.argv[1], log_to_driver=False)
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=int(sys.argv[2])))
    deployment = serve.deployment(Neighbour, ray_actor_options={"num_cpus": 0})
    serve.run(deployment.bind(), name="neighbour", route_prefix="/neighbour")
