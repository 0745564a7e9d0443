"""vLLM: its own OpenAI server (``vllm.entrypoints.openai.api_server``) as a child process.

What it loads stands in the table of storage formats; key-value cache types were read in vLLM 0.32,
``config/cache.py`` and, for a CPU, ``v1/attention/backends/cpu_attn.py``.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

from quantize.artifact.manifest import Manifest
from quantize.formats.engine_support import DEVICES, GPUS
from quantize.machine import Device
from services.engines.spec import CAPABILITIES, EngineSpec, HeldWeights, Launch
from services.engines.support import loaded_by

_KV_CACHE_DTYPES: Mapping[str, frozenset[Device]] = MappingProxyType(
    {
        "fp8": frozenset({"cpu", "ada", "hopper", "blackwell"}),
        "fp8_e4m3": frozenset({"cpu", "ada", "hopper", "blackwell"}),
        "fp8_e5m2": frozenset(DEVICES),
        "int8_per_token_head": frozenset(GPUS),
        "nvfp4": frozenset({"blackwell"}),
    }
)
# vllm/v1/metrics/loggers.py
_SERIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "assay_requests_running": ("vllm:num_requests_running",),
        "assay_requests_waiting": ("vllm:num_requests_waiting",),
        "assay_kv_cache_used_ratio": ("vllm:kv_cache_usage_perc",),
        "assay_prompt_tokens_total": ("vllm:prompt_tokens_total",),
        "assay_reused_prompt_tokens_total": ("vllm:prompt_tokens_cached_total",),
        "assay_generation_tokens_total": ("vllm:generation_tokens_total",),
    }
)

# Its grammars are compiled in the engine's core (``v1/structured_output``), where a faulty one is a
# RuntimeError and no ValueError, so that the client's mistake would be answered with a 500.
_REFUSES: Mapping[tuple[str, ...], str] = MappingProxyType(
    {("structured_outputs", "grammar"): "grammars are not supported; use json, regex or choice"}
)


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
        "--kv-cache-memory-bytes",
        str(int(launch.kv_cache_gib * (1 << 30))),
        *(["--kv-cache-dtype", launch.kv_cache_dtype] if launch.kv_cache_dtype else []),
        "--enforce-eager",
        "--middleware",
        "services.engines.in_vllm.vllm_extension.require_key",
        "--worker-extension-cls",
        "services.engines.in_vllm.vllm_extension.WeightReport",
    ]


def _env(launch: Launch) -> dict[str, str]:
    return {
        # Guards /v1 in vLLM itself; our middleware guards every other route with the same key.
        "VLLM_API_KEY": launch.api_key,
        # Opens /collective_rpc, through which the worker extension tells what weights it holds.
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        # Else a third of all its series only tell when the others were made.
        "PROMETHEUS_DISABLE_CREATED_SERIES": "true",
        "OMP_NUM_THREADS": str(launch.threads),
        # On CPUs oneDNN keeps a compiled kernel per matrix shape, and every length of a batch is a
        # shape: its default of 1024 lets a worker grow by 0.7 GiB over hours; 256 is as fast.
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
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
    cpu_distributions=frozenset({"vllm-cpu"}),
    checkpoints=loaded_by("vllm"),
    kv_cache_dtypes=_KV_CACHE_DTYPES,
    argv=_argv,
    env=_env,
    health_path="/health",
    weights_request=("POST", "/collective_rpc", b'{"method": "assay_weights"}'),
    parse_weights=_parse_weights,
    expected_weight_bytes=_expected_weight_bytes,
    claims=CAPABILITIES,
    refuses=_REFUSES,
    series=_SERIES,
)
