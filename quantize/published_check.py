"""Hold a published checkpoint against what it announces: by its tensors, not by its words.

Publishers leave layers at 16 bits as they like, so what a weight costs is measured and bounded by
nothing; but every quantized layer is stored as announced, and some are quantized.
"""

import json
from pathlib import Path
from typing import Any

from quantize.artifact.manifest import ArtifactError
from quantize.artifact.weight_measures import LinearLayer, WeightMeasures
from quantize.formats.published_formats import announced_row
from quantize.formats.safetensors_types import FLOATS
from quantize.recipes.recipe import Recipe


def check_published(artifact: Path, recipe: Recipe, measures: WeightMeasures) -> None:
    """Hold the stored linear layers and ``config.json`` against the format.

    Raises:
        ArtifactError: naming the first layer that is stored otherwise.
    """
    quantized = [it for it in measures.linear_layers if not set(it.kinds) <= FLOATS]
    wrong = [layer for layer in quantized if not set(layer.kinds) <= recipe.layer_kinds]
    if wrong:
        raise ArtifactError(
            f"{artifact} is no {recipe.format.name}: {len(wrong)} of {len(measures.linear_layers)} "
            f"linear layers are stored otherwise, first {wrong[0].name} as {_stored_as(wrong[0])}"
        )
    if recipe.weight_format == "gguf":
        return
    announced = _announced(artifact)
    row = announced_row(announced) if announced else None
    if announced is not None and not quantized:
        raise ArtifactError(
            f"{artifact} announces {recipe.format.name}, but all of its "
            f"{len(measures.linear_layers)} linear layers are 16 bits wide"
        )
    if row is None and not recipe.format.announced:
        return
    if row is None or row.layers != recipe.format.layers:
        found = "nothing that is known" if row is None else row.name
        raise ArtifactError(f"{artifact / 'config.json'} announces {found}: {announced}")


def _stored_as(layer: LinearLayer) -> str:
    return "+".join(layer.kinds)


def _announced(artifact: Path) -> dict[str, Any] | None:
    path = artifact / "config.json"
    try:
        found: dict[str, Any] | None = json.loads(path.read_text()).get("quantization_config")
    except (OSError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{path} cannot be read ({error})") from None
    return found
