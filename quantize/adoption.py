"""The bundled model's artifacts of when methods were numbered by hand are taken over as they are.

Their manifests (schema 1) hold a key with a number for the method where today's holds the hash of
its code. No weight that any recipe makes changed between the last of those numbers and the first
hash, nor in the moves that followed, so such an artifact is valid whatever today's hash is. It is
then described anew with today's parts and key: from there on, changed code counts.

Of another model it is made again: configuration, end tokens and tokenizer are put right since then
(source/normalised_folder.py), and only the bundled model's mean what they meant.

Delete this file, ``Item.earlier_key`` and schema 1 (and what by_llamacpp/imatrix.py does for such
matrices) with the first change that means to alter what a method makes: from that day an artifact
of that time is no longer as good as a new one.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from quantize.artifact.manifest import MANIFEST_NAME, Manifest
from quantize.jobs.whole_file import write_whole
from quantize.recipes.recipe import Method, Recipe
from quantize.source.source_model import REFERENCE, SourceModel

_LAST_NUMBERS: Mapping[Method, int] = MappingProxyType(
    {"copy": 1, "gptq": 1, "awq": 4, "rtn": 1, "gguf": 1, "modelopt": 2}
)


def earlier_key(
    model: SourceModel,
    recipe: Recipe,
    *,
    tool: str,
    tool_version: str | None,
    libraries: Mapping[str, str],
    calibration_sha256: str,
    source_key: str | None,
) -> str | None:
    """The key that the same artifact had then; ``tool_version`` is None where the tool is ours.

    None where an artifact of that time is not what would be made today.
    """
    number = _LAST_NUMBERS.get(recipe.method)
    if model.name != REFERENCE or number is None:
        return None
    parts = {
        "model": model.sha256,
        "recipe": recipe.name,
        "method": recipe.method,
        "method_version": number,
        "parameters": dict(recipe.parameters),
        "tool": tool,
        "tool_version": tool_version or str(number),
        "libraries": dict(libraries),
        "calibration": calibration_sha256 if recipe.calibrated else None,
        "source": source_key,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def describe_anew(
    artifact: Path, manifest: Manifest, made_from: Mapping[str, str], inputs_sha256: str
) -> None:
    """Write a manifest of that time again with what today's holds.

    To be called with the artifact's lock held.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    told = {"schema_version": 2, "made_from": dict(made_from), "inputs_sha256": inputs_sha256}
    renewed = manifest.model_copy(update=told)
    write_whole(artifact / MANIFEST_NAME, renewed.model_dump_json(indent=2) + "\n")
