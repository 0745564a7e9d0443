"""How a variant is described as a model of OpenAI's API, by itself and by the gateway."""

from collections.abc import Mapping
from typing import Any

from services.variants import Variant


def model_entry(variant: Variant, health: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of ``/v1/models``; ``health`` is what the variant's ``/healthz`` tells.

    ``max_model_len`` is vLLM's name for the context length; unknown of a variant that is not up.
    """
    return {
        "id": variant.name,
        "object": "model",
        "created": 0,
        "owned_by": "assay",
        "recipe": variant.recipe.name,
        "engine": variant.engine.name,
        "emulated": variant.engine.emulated,
        "bits": health.get("bits_per_weight"),
        "state": health["state"],
        "max_model_len": health.get("limits", {}).get("context_length"),
    }
