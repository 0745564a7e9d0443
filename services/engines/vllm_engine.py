"""vLLM: its own OpenAI server (``vllm serve``) as a child process, as its users run it.

What it loads stands in the table of storage formats; key-value cache types were read in vLLM 0.32,
``config/cache.py`` and, for a CPU, ``v1/attention/backends/cpu_attn.py``.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

from quantize.artifact.manifest import Manifest
from quantize.formats.engine_support import DEVICES, GPUS
from quantize.machine import Device
from services.engines.kernels import Kernels
from services.engines.model_question import ASKED_OF_VLLM
from services.engines.spec import CAPABILITIES, EngineSpec, HeldWeights, Launch
from services.engines.support import loaded_by
from services.engines.tuning import Tuning
from services.engines.vllm_kernels import judge_kernels
from services.engines.vllm_log import kernels_in_log
from services.http.request_fields import MAX_STOPS, Route

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

# ``entrypoints/openai/{completion,chat_completion}/protocol.py`` of vLLM 0.32, without what needs
# other models than these (images, pooling) or another server's options. vLLM takes any other field
# and ignores it.
_BOTH_FIELDS = frozenset(
    {
        *("model", "max_tokens", "min_tokens", "temperature", "top_p", "top_k", "min_p", "seed"),
        *("presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "n"),
        *("stop", "stop_token_ids", "include_stop_str_in_output", "ignore_eos", "bad_words"),
        *("allowed_token_ids", "logprobs", "prompt_logprobs", "stream", "stream_options", "echo"),
        *("skip_special_tokens", "spaces_between_special_tokens", "add_special_tokens"),
        *("truncate_prompt_tokens", "use_beam_search", "length_penalty", "priority"),
        *("response_format", "structured_outputs", "return_token_ids", "request_id", "cache_salt"),
        *("return_tokens_as_token_ids",),
    }
)
_FIELDS: Mapping[Route, frozenset[str]] = MappingProxyType(
    {
        "completions": _BOTH_FIELDS | {"prompt", "suffix"},
        "chat": _BOTH_FIELDS
        | {"messages", "max_completion_tokens", "top_logprobs", "tools", "tool_choice"}
        | {"parallel_tool_calls", "include_reasoning", "documents", "chat_template_kwargs"}
        | {"add_generation_prompt", "continue_final_message"},
    }
)


# What ``_argv`` sets, or a key of the plan of its own.
_OWN_FLAGS = frozenset(
    {
        "--attention-backend",
        "--enforce-eager",
        "--generation-config",
        "--gpu-memory-utilization",
        "--host",
        "--kv-cache-dtype",
        "--kv-cache-memory-bytes",
        "--linear-backend",
        "--max-logprobs",
        "--max-model-len",
        "--max-num-batched-tokens",
        "--max-num-seqs",
        "--middleware",
        "--model",
        "--port",
        "--served-model-name",
        "--structured-outputs-config",
        "--tensor-parallel-size",
        "--worker-extension-cls",
    }
)


def _argv(launch: Launch) -> list[str]:
    return [
        str(launch.python),
        *_server(launch),
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
        # Nothing that the model's generation_config.json wishes, but for its end tokens.
        "--generation-config",
        "vllm",
        "--max-logprobs",
        "20",
        # Else a model that knows no JSON may break lines for ever.
        "--structured-outputs-config",
        '{"backend": "xgrammar", "disable_any_whitespace": true}',
        *_options(launch),
        "--middleware",
        "services.engines.in_vllm.vllm_server.require_key",
        "--worker-extension-cls",
        "services.engines.in_vllm.vllm_extension.WeightReport",
    ]


def _server(launch: Launch) -> list[str]:
    """``vllm serve``, which looks for a distribution ``vllm`` and finds none in the CPU's build."""
    artifact = str(launch.artifact)
    if launch.device == "cpu":
        return ["-m", "vllm.entrypoints.openai.api_server", "--model", artifact]
    return ["-m", "vllm.entrypoints.cli.main", "serve", artifact]


def _options(launch: Launch) -> list[str]:
    """What differs between launches; compiling for a CPU costs minutes and gains nothing."""
    tuning = launch.tuning
    cache = None if launch.kv_cache_gib is None else int(launch.kv_cache_gib * (1 << 30))
    values = {
        "--kv-cache-memory-bytes": cache,
        "--kv-cache-dtype": launch.kv_cache_dtype,
        "--tensor-parallel-size": tuning.tensor_parallel,
        "--gpu-memory-utilization": tuning.memory_share,
        "--max-num-batched-tokens": tuning.batched_tokens,
        "--attention-backend": tuning.attention_backend,
        "--linear-backend": tuning.linear_backend,
    }
    given = [word for flag, it in values.items() if it is not None for word in (flag, str(it))]
    eager = ["--enforce-eager"] if launch.device == "cpu" or tuning.eager else []
    return [*given, *eager, *(tuning.engine_args or ())]


def _env(launch: Launch) -> dict[str, str]:
    return {
        # Guards /v1 in vLLM itself; our middleware guards every other route with the same key.
        "VLLM_API_KEY": launch.api_key,
        # Opens /collective_rpc, through which the worker extension tells what weights it holds.
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        # Nothing is to be looked up beyond the artifact's own files.
        "HF_HUB_OFFLINE": "1",
        # FlashInfer's sampler is compiled on the first start, which needs nvcc and minutes.
        "VLLM_USE_FLASHINFER_SAMPLER": "0",
        # Tasks name more ways to end an answer than OpenAI's four.
        "VLLM_MAX_STOP_STRINGS": str(MAX_STOPS),
        # Compiled graphs and kernels outlive a restart, and do not depend on anybody's home.
        "VLLM_CACHE_ROOT": str(launch.cache / "vllm"),
        # Else a third of all its series only tell when the others were made.
        "PROMETHEUS_DISABLE_CREATED_SERIES": "true",
        "OMP_NUM_THREADS": str(launch.threads),
        # On CPUs oneDNN keeps a compiled kernel per matrix shape, and every length of a batch is a
        # shape: its default of 1024 lets a worker grow by 0.7 GiB over hours; 256 is as fast.
        "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
    }


def _parse_weights(body: bytes) -> HeldWeights:
    """Every worker (one per GPU) tells of its part of each layer, with the same kernels."""
    reports = json.loads(body)["results"]
    first = reports[0]
    return HeldWeights(
        weight_bytes=sum(report["weight_bytes"] for report in reports),
        kinds=first["kinds"],
        kernels=Kernels.model_validate(first["kernels"]),
    )


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
    # Three processes import torch: 1.5 GiB with a small model, and the replica.
    process_bytes=1792 << 20,
    # The larger of its two queues (``shm_broadcast.py``) is of 240 MiB; few of them are ever used.
    shared_memory_bytes=256 << 20,
    fills_gpu=True,
    counts_unasked=True,
    refuses=_REFUSES,
    fields=_FIELDS,
    no_limit=None,
    variables=("VLLM_",),
    series=_SERIES,
    tunes=frozenset(Tuning.model_fields),
    own_flags=_OWN_FLAGS,
    model_check=ASKED_OF_VLLM,
    kernels_in_log=kernels_in_log,
    judge_kernels=judge_kernels,
)
