"""llama.cpp behind our own OpenAI server (``services.server``), which batches continuously."""

from quantize.manifest import Manifest
from services.engines import own_server
from services.engines.spec import EngineSpec, Launch


def _argv(launch: Launch) -> list[str]:
    return own_server.argv(launch, "llamacpp")


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
    env=own_server.env,
    health_path="/health",
    weights_request=own_server.WEIGHTS_REQUEST,
    parse_weights=own_server.parse_weights,
    expected_weight_bytes=_expected_weight_bytes,
    claims=own_server.CLAIMS,
)
