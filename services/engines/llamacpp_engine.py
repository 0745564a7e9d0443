"""llama.cpp behind our own OpenAI server (``services.server``), which batches continuously."""

from types import MappingProxyType

from quantize.artifact.manifest import Manifest
from quantize.formats.engine_support import DEVICES
from services.engines import own_server
from services.engines.spec import EngineSpec, Launch
from services.engines.support import loaded_by

# Of the types that llama.cpp has, those that our server passes on (llamacpp_backend.py).
KV_CACHE_DTYPES = ("f16", "f32", "q8_0", "q4_0")


def _argv(launch: Launch) -> list[str]:
    budget = ["--kv-cache-gib", str(launch.kv_cache_gib)] if launch.kv_cache_gib else []
    dtype = ["--kv-cache-dtype", launch.kv_cache_dtype] if launch.kv_cache_dtype else []
    return [*own_server.argv(launch, "llamacpp"), *budget, *dtype]


def _expected_weight_bytes(manifest: Manifest) -> tuple[int, int]:
    """llama.cpp maps the tensors as they are stored."""
    return int(manifest.weight_bytes * 0.95), int(manifest.weight_bytes * 1.05)


_CHECKPOINTS = loaded_by("llamacpp")
LLAMACPP = EngineSpec(
    name="llamacpp",
    title="llama.cpp",
    environment="llamacpp",
    distributions=("llama-cpp-python",),
    checkpoints=_CHECKPOINTS,
    plain_names=frozenset(_CHECKPOINTS),
    kv_cache_dtypes=MappingProxyType(dict.fromkeys(KV_CACHE_DTYPES, frozenset(DEVICES))),
    rounds_quantized=True,
    # 200 MiB with a small model, and as much for the replica.
    process_bytes=400 << 20,
    argv=_argv,
    env=own_server.env,
    health_path="/health",
    weights_request=own_server.WEIGHTS_REQUEST,
    parse_weights=own_server.parse_weights,
    expected_weight_bytes=_expected_weight_bytes,
    # It has grammars.
    claims=own_server.CLAIMS | {"response_format"},
    fields=own_server.FIELDS,
    series=own_server.SERIES,
)
