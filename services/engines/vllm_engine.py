"""vLLM: its own OpenAI server (``vllm.entrypoints.openai.api_server``) as a child process."""

import json
import math

from quantize.manifest import Manifest
from services.engines.spec import EngineSpec, HeldWeights, Launch


def _argv(launch: Launch) -> list[str]:
    return [
        str(launch.python),
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        str(launch.artifact),
        "--served-model-name",
        launch.served_name,
        "--host",
        "127.0.0.1",
        "--port",
        str(launch.port),
        "--max-model-len",
        str(launch.context_length),
        "--max-num-seqs",
        str(launch.max_sequences),
        "--max-logprobs",
        "20",
        "--enforce-eager",
        "--middleware",
        "services.engines.vllm_extension.require_key",
        "--worker-extension-cls",
        "services.engines.vllm_extension.WeightReport",
    ]


def _env(launch: Launch) -> dict[str, str]:
    return {
        # Guards /v1 in vLLM itself; our middleware guards every other route with the same key.
        "VLLM_API_KEY": launch.api_key,
        # Opens /collective_rpc, through which the worker extension tells what weights it holds.
        "VLLM_SERVER_DEV_MODE": "1",
        # Whole GiB only.
        "VLLM_CPU_KVCACHE_SPACE": str(math.ceil(launch.kv_cache_gib)),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "OMP_NUM_THREADS": str(launch.threads),
    }


def _parse_weights(body: bytes) -> HeldWeights:
    report = json.loads(body)["results"][0]
    return HeldWeights(weight_bytes=report["weight_bytes"], kinds=report["kinds"])


def _expected_weight_bytes(manifest: Manifest) -> tuple[int, int]:
    """vLLM pads the vocabulary and repacks, but never by a quarter of the whole."""
    return int(manifest.weight_bytes * 0.75), int(manifest.weight_bytes * 1.25)


VLLM = EngineSpec(
    name="vllm",
    title="vLLM",
    environment="vllm",
    distributions=("vllm", "vllm-cpu"),
    weight_formats=frozenset({"safetensors"}),
    argv=_argv,
    env=_env,
    health_path="/health",
    weights_request=("POST", "/collective_rpc", b'{"method": "assay_weights"}'),
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
