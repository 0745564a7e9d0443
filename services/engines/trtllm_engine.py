"""TensorRT-LLM: its own OpenAI server (``trtllm-serve``) as a child process, on its PyTorch flow.

Held against upstream's sources from before and after the release of 1.2 (NVIDIA/TensorRT-LLM), and
never run here, where nothing could run it: the command line against
``tensorrt_llm/commands/serve.py`` (commit 00209af1), the options file against ``KvCacheConfig`` and
``BaseLlmArgs`` of ``tensorrt_llm/llmapi/llm_args.py`` (an unknown key is refused), routes and
answers against ``tensorrt_llm/serve/{openai_server,openai_protocol,postprocess_handlers}.py``
(commit 00057725). What it loads, and on what, stands in the table of storage formats.
``make conformance ENGINE=trtllm`` holds the real thing against the same claims.

What it lacks, and why no more is claimed:

* ``/v1/completions`` refuses ``logprobs`` or, in later versions, gives them for generated tokens
  alone; its ``echo`` repeats the prompt's text only. So log-likelihood tasks are refused.
* A seed is passed on, but nobody has shown that it makes sampling repeatable.
* It asks for no key: it listens on loopback alone, as every engine does.
* It cannot tell what weights it holds.
* The model's name is that of its folder, so it is given a link of the variant's name.

``engine_build`` compiles a TensorRT engine first (``services.engines.in_trtllm.trtllm_build``) and
serves that.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from quantize.artifact.manifest import Manifest
from quantize.formats.engine_support import GPUS
from quantize.machine import Device
from quantize.recipes.catalogue import find_recipe
from services.engines.spec import EngineSpec, HeldWeights, Launch
from services.engines.support import loaded_by

OPTIONS_NAME = "options.yaml"
MAX_NUM_TOKENS = 8192
# The part of the memory left by the weights that the key-value cache may take at most.
KV_CACHE_FRACTION = 0.9

_KV_CACHE_DTYPES: Mapping[str, frozenset[Device]] = MappingProxyType({"fp8": frozenset(GPUS)})
# tensorrt_llm/metrics/collector.py (commit 050f80de); earlier versions tell fewer of them.
_SERIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "assay_requests_running": ("trtllm_num_requests_running",),
        "assay_requests_waiting": ("trtllm_num_requests_waiting",),
        "assay_kv_cache_used_ratio": ("trtllm_kv_cache_utilization",),
        "assay_prompt_tokens_total": ("trtllm_prompt_tokens_total",),
        "assay_reused_prompt_tokens_total": ("trtllm_prompt_cached_tokens_total",),
        "assay_generation_tokens_total": ("trtllm_generation_tokens_total",),
    }
)


def _model_path(launch: Launch) -> Path:
    """A folder of the served name: the artifact's link, or the engine's directory."""
    return launch.scratch / ("engine" if launch.engine_build else "model") / launch.served_name


def _files(launch: Launch) -> dict[str, str | Path]:
    files: dict[str, str | Path] = {OPTIONS_NAME: json.dumps(options(launch), indent=2) + "\n"}
    if launch.engine_build is None:
        files[f"model/{launch.served_name}"] = launch.artifact
    return files


def options(launch: Launch) -> dict[str, object]:
    """The options file's content (JSON is YAML)."""
    cache: dict[str, object] = {
        "free_gpu_memory_fraction": KV_CACHE_FRACTION,
    }
    if launch.kv_cache_gib is not None:
        cache["max_gpu_total_bytes"] = int(launch.kv_cache_gib * (1 << 30))
    if launch.kv_cache_dtype is not None:
        cache["dtype"] = launch.kv_cache_dtype
    return {"kv_cache_config": cache, "return_perf_metrics": True}


def _argv(launch: Launch) -> list[str]:
    serve = [
        str(launch.python),
        "-m",
        "tensorrt_llm.commands.serve",
        "serve",
        str(_model_path(launch)),
        "--tokenizer",
        str(launch.artifact),
        "--backend",
        "tensorrt" if launch.engine_build else "pytorch",
        "--host",
        "127.0.0.1",
        "--port",
        str(launch.port),
        "--max_batch_size",
        str(launch.max_sequences),
        "--max_num_tokens",
        str(launch.tuning.batched_tokens or MAX_NUM_TOKENS),
        "--max_seq_len",
        str(launch.context_length),
        *(["--tp_size", str(parallel)] if (parallel := launch.tuning.tensor_parallel) else []),
        "--max_beam_width",
        "1",
        "--extra_llm_api_options",
        str(launch.scratch / OPTIONS_NAME),
    ]
    return [*_build(launch), *serve] if launch.engine_build else serve


def _build(launch: Launch) -> list[str]:
    """The command that compiles the engine and then becomes the server."""
    assert launch.engine_build is not None
    return [
        str(launch.python),
        "-m",
        "services.engines.in_trtllm.trtllm_build",
        "--artifact",
        str(launch.artifact),
        "--checkpoint",
        find_recipe(launch.manifest.recipe).format.name,
        "--weights",
        launch.engine_build,
        "--max-batch-size",
        str(launch.max_sequences),
        "--max-seq-len",
        str(launch.context_length),
        "--engine",
        str(_model_path(launch)),
        "--",
    ]


def _env(_launch: Launch) -> dict[str, str]:
    # Nothing is to be looked up beyond the artifact's own files.
    return {"HF_HUB_OFFLINE": "1"}


def _no_weights(body: bytes) -> HeldWeights:
    raise ValueError(f"TensorRT-LLM has no weight report: {body[:80]!r}")


def _expected_weight_bytes(manifest: Manifest) -> tuple[int, int]:
    return int(manifest.weight_bytes * 0.75), int(manifest.weight_bytes * 1.25)


TRTLLM = EngineSpec(
    name="trtllm",
    title="TensorRT-LLM",
    environment="trtllm",
    distributions=("tensorrt-llm",),
    checkpoints=loaded_by("trtllm"),
    kv_cache_dtypes=_KV_CACHE_DTYPES,
    engine_builds=frozenset({"stored", "int8", "int4"}),
    takes_key=False,
    fills_gpu=True,
    argv=_argv,
    env=_env,
    files=_files,
    health_path="/health",
    metrics_path="/prometheus/metrics",
    weights_request=None,
    parse_weights=_no_weights,
    expected_weight_bytes=_expected_weight_bytes,
    series=_SERIES,
    tunes=frozenset({"tensor_parallel", "batched_tokens"}),
    variables=("TLLM_", "TRTLLM_"),
    claims=frozenset(
        {
            *("chat", "every_end", "ignore_eos", "min_tokens", "n", "plain_sampling", "stop"),
            *("stream_usage", "token_ids"),
        }
    ),
)
