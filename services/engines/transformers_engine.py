"""transformers behind our own OpenAI server: every safetensors artifact, emulated on any machine.

Weights are decoded from the packed tensors and inputs rounded as the format prescribes
(``quantize.formats.in_quantize``), so what is measured is the quality of the artifact; the speed is
that of float32 and says nothing.
"""

from quantize.artifact.manifest import Manifest
from services.engines import own_server
from services.engines.model_question import ASKED_OF_TRANSFORMERS
from services.engines.spec import EngineSpec, Launch
from services.engines.support import loaded_by


def _argv(launch: Launch) -> list[str]:
    return own_server.argv(launch, "transformers")


def _env(launch: Launch) -> dict[str, str]:
    # Nothing is to be looked up beyond the artifact's own files.
    return {**own_server.env(launch), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def _expected_weight_bytes(manifest: Manifest) -> tuple[int, int]:
    """Every stored tensor is read and decoded, none more than once."""
    return manifest.weight_bytes, manifest.weight_bytes


TRANSFORMERS = EngineSpec(
    name="transformers",
    title="transformers",
    environment="quantize",
    distributions=("transformers",),
    checkpoints=loaded_by("transformers"),
    emulated=True,
    # torch and transformers, and the replica.
    process_bytes=1280 << 20,
    argv=_argv,
    env=_env,
    health_path="/health",
    weights_request=own_server.WEIGHTS_REQUEST,
    parse_weights=own_server.parse_weights,
    expected_weight_bytes=_expected_weight_bytes,
    claims=own_server.CLAIMS,
    fields=own_server.FIELDS,
    model_check=ASKED_OF_TRANSFORMERS,
    series=own_server.SERIES,
)
