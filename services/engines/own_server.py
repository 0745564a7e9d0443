"""What engines behind our own OpenAI server (``services.server``) have in common."""

import json

from services.engines.spec import CAPABILITIES, HeldWeights, Launch

# The server itself answers for all of these, whatever computes the logits.
CLAIMS = CAPABILITIES
WEIGHTS_REQUEST = ("GET", "/weights", b"")


def argv(launch: Launch, backend: str) -> list[str]:
    """The command line of the server with one of its backends."""
    return [
        str(launch.python),
        "-m",
        "services.server",
        "--backend",
        backend,
        "--model",
        str(launch.artifact),
        "--served-name",
        launch.served_name,
        "--host",
        "127.0.0.1",
        "--port",
        str(launch.port),
        "--context-length",
        str(launch.context_length),
        "--max-sequences",
        str(launch.max_sequences),
        "--threads",
        str(launch.threads),
    ]


def env(launch: Launch) -> dict[str, str]:
    """The key, and the threads of the libraries that ask OpenMP."""
    return {"ASSAY_ENGINE_KEY": launch.api_key, "OMP_NUM_THREADS": str(launch.threads)}


def parse_weights(body: bytes) -> HeldWeights:
    """The answer of ``/weights``; raises KeyError or ValueError where it is none."""
    report = json.loads(body)
    return HeldWeights(weight_bytes=report["weight_bytes"], kinds=report["tensor_types"])
