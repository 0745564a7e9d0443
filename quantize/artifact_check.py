"""Hold an artifact against what it claims to be, before an engine may serve it.

An engine loads what the files hold, not what a manifest says: a 4-bit checkpoint whose weights
are 16 bits wide is served without a word. So the stored tensors themselves are counted here.
Numpy-free and torch-free: it runs in front of every engine start.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantize.artifact.manifest import ArtifactError, Manifest, read_manifest, verify_files
from quantize.artifact.stored_tensor import WeightFileError
from quantize.artifact.weight_measures import (
    LinearLayer,
    WeightMeasures,
    measure_gguf,
    measure_safetensors,
)
from quantize.formats.gguf_types import GGUF_TYPES, SUPER_BLOCK, stored_type
from quantize.formats.layer_format import WHOLE_ROW
from quantize.formats.storage_format import Parameter, announced_at
from quantize.published_check import check_published
from quantize.recipes.catalogue import find_recipe
from quantize.recipes.recipe import Recipe

_TOLERANCE = 1e-6


def check_artifact(artifact: Path) -> Manifest:
    """Verify every file's SHA-256 and that the stored tensors are what the recipe makes.

    Reads all files once (about a second per gigabyte).

    Raises:
        ArtifactError: the artifact is missing, unfinished, altered, or holds other tensors than
            its manifest and recipe say.
    """
    manifest = read_manifest(artifact)
    try:
        verify_files(artifact, manifest)
        recipe = find_recipe(manifest.recipe)
        measures = measure_weights(artifact, recipe)
    except (OSError, WeightFileError) as error:
        raise ArtifactError(str(error)) from None
    except ArtifactError:
        raise
    except ValueError as error:
        raise ArtifactError(f"{artifact}: {error}") from None
    check_measures(artifact, recipe, measures)
    _check_manifest(artifact, manifest, measures)
    return manifest


def measure_weights(artifact: Path, recipe: Recipe) -> WeightMeasures:
    """Measure an artifact's weights in its recipe's file format.

    Raises:
        WeightFileError: a weight file is missing, truncated or damaged.
    """
    if recipe.weight_format == "gguf":
        return measure_gguf(artifact)
    return measure_safetensors(artifact)


def check_measures(artifact: Path, recipe: Recipe, measures: WeightMeasures) -> None:
    """Hold the stored linear layers against the recipe.

    Raises:
        ArtifactError: naming the first layer of another kind, or the bits per weight.
    """
    if recipe.as_published:
        check_published(artifact, recipe, measures)
        return
    if not measures.linear_layers:
        raise ArtifactError(f"{artifact} holds no linear layers of a decoder")
    wrong = [layer for layer in measures.linear_layers if not _is_of(recipe, layer)]
    if wrong:
        raise ArtifactError(
            f"{artifact} is no {recipe.name}: {len(wrong)} of {len(measures.linear_layers)} linear "
            f"layers are stored otherwise, first {wrong[0].name} as {_stored_as(wrong[0])}"
        )
    low, high = _bits_allowed(recipe, measures)
    if not low - _TOLERANCE <= measures.bits_per_weight <= high + _TOLERANCE:
        raise ArtifactError(
            f"{artifact} is no {recipe.name}: {measures.bits_per_weight:.2f} bits per weight, "
            f"expected {low:g} to {high:g}"
        )
    if recipe.weight_format == "safetensors":
        check_announced(artifact, recipe)


def _is_of(recipe: Recipe, layer: LinearLayer) -> bool:
    if layer.group_size is not None and recipe.group_size is not None:
        whole_rows = recipe.group_size == WHOLE_ROW
        if not (layer.groups == 1 if whole_rows else layer.group_size == recipe.group_size):
            return False
    return set(layer.kinds) <= _kinds_allowed(recipe, layer)


def _kinds_allowed(recipe: Recipe, layer: LinearLayer) -> set[str]:
    """The recipe's own, as rows of this width can be stored."""
    kinds = set(recipe.layer_kinds)
    if recipe.weight_format != "gguf" or layer.width is None:
        return kinds
    return {stored_type(kind, layer.width) for kind in kinds}


def _bits_allowed(recipe: Recipe, measures: WeightMeasures) -> tuple[float, float]:
    """The recipe's own, or up to the widest type in rows that make llama.cpp fall back."""
    low, high = recipe.effective_bits
    if recipe.weight_format != "gguf":
        return low, high
    narrow = [
        it for it in measures.linear_layers if it.width is not None and it.width % SUPER_BLOCK
    ]
    kinds = {kind for layer in narrow for kind in layer.kinds}
    return low, max([high, *(GGUF_TYPES[kind].bits_per_weight for kind in kinds)])


def _stored_as(layer: LinearLayer) -> str:
    groups = f" in groups of {layer.group_size}" if layer.group_size else ""
    return "+".join(layer.kinds) + groups


def check_announced(artifact: Path, recipe: Recipe) -> None:
    """What ``config.json`` announces decides how an engine reads the tensors."""
    path = artifact / "config.json"
    try:
        announced = json.loads(path.read_text()).get("quantization_config")
    except (OSError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{path} cannot be read ({error})") from None
    if not recipe.announced:
        if announced is not None:
            raise ArtifactError(f"{path} announces a quantization, but {recipe.name} has none")
        return
    if not isinstance(announced, dict):
        raise ArtifactError(f"{path} announces no quantization, but {recipe.name} is quantized")
    other = [_told_otherwise(announced, it) for it in (recipe.announced, *recipe.format.alone)]
    if all(other):
        key = other[0]
        raise ArtifactError(
            f"{path} announces {key} = {announced_at(announced, key)}, but {recipe.name} has "
            f"{key} = {recipe.announced[key]}"
        )


def _told_otherwise(announced: dict[str, Any], expected: Mapping[str, Parameter]) -> str:
    """The first key of which another value is announced; empty where there is none."""
    return next((key for key, it in expected.items() if announced_at(announced, key) != it), "")


def _check_manifest(artifact: Path, manifest: Manifest, measures: WeightMeasures) -> None:
    """The manifest's figures must be those of the files."""
    held = {
        "parameter_count": measures.parameter_count,
        "quantized_parameters": measures.linear_parameters,
        "weight_bytes": measures.weight_bytes,
        "quantized_weight_bytes": measures.linear_bytes,
        "tensor_types": dict(measures.tensor_types),
    }
    for key, value in held.items():
        said = getattr(manifest, key)
        if said != value:
            raise ArtifactError(
                f"{artifact}: the manifest says {key} = {said}, the files hold {value}"
            )
