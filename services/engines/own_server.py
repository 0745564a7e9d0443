"""What engines behind our own OpenAI server (``services.server``) have in common."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from services.engines.spec import CAPABILITIES, HeldWeights, Launch
from services.http.request_fields import Route
from services.server.protocol import ChatBody, CompletionBody

# The server itself answers for all of these, whatever computes the logits.
CLAIMS = CAPABILITIES - {"response_format"}
FIELDS: Mapping[Route, frozenset[str]] = MappingProxyType(
    {
        "completions": frozenset(CompletionBody.model_fields),
        "chat": frozenset(ChatBody.model_fields),
    }
)
WEIGHTS_REQUEST = ("GET", "/weights", b"")
SERIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "assay_requests_running": ("engine_sequences_running",),
        "assay_requests_waiting": ("engine_sequences_waiting",),
        "assay_kv_cache_used_ratio": ("engine_kv_cache_used_ratio",),
        "assay_prompt_tokens_total": ("engine_prompt_tokens_total", "engine_reused_tokens_total"),
        "assay_reused_prompt_tokens_total": ("engine_reused_tokens_total",),
        "assay_generation_tokens_total": ("engine_generation_tokens_total",),
    }
)


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
    """The key, the threads of the libraries that ask OpenMP, and no advice to install torch."""
    return {
        "ASSAY_ENGINE_KEY": launch.api_key,
        "OMP_NUM_THREADS": str(launch.threads),
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    }


def parse_weights(body: bytes) -> HeldWeights:
    """The answer of ``/weights``; raises KeyError or ValueError where it is none."""
    report = json.loads(body)
    return HeldWeights(weight_bytes=report["weight_bytes"], kinds=report["tensor_types"])
