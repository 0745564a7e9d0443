"""llama.cpp behind our own OpenAI server (``services.server``), which batches continuously."""

import json

from quantize.manifest import Manifest
from services.engines.spec import EngineSpec, HeldWeights, Launch


def _argv(launch: Launch) -> list[str]:
    return [
        str(launch.python),
        "-m",
        "services.server",
        "--backend",
        "llamacpp",
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


def _env(launch: Launch) -> dict[str, str]:
    return {"ASSAY_ENGINE_KEY": launch.api_key, "OMP_NUM_THREADS": str(launch.threads)}


def _parse_weights(body: bytes) -> HeldWeights:
    report = json.loads(body)
    return HeldWeights(weight_bytes=report["weight_bytes"], kinds=report["tensor_types"])


def _expected_weight_bytes(manifest: Manifest) -> tuple[int, int]:
    """llama.cpp maps the tensors as they are stored."""
    return int(manifest.weight_bytes * 0.95), int(manifest.weight_bytes * 1.05)


LLAMACPP = EngineSpec(
    name="llamacpp",
    title="llama.cpp",
    environment="llamacpp",
    distributions=("llama-cpp-python",),
    weight_formats=frozenset({"gguf"}),
    argv=_argv,
    env=_env,
    health_path="/health",
    weights_request=("GET", "/weights", b""),
    parse_weights=_parse_weights,
    expected_weight_bytes=_expected_weight_bytes,
    claims=frozenset(
        {
            "chat",
            "echo_logprobs",
            "ignore_eos",
            "logprobs",
            "min_tokens",
            "n",
            "seed",
            "stop",
            "stream_usage",
            "token_ids",
        }
    ),
)
