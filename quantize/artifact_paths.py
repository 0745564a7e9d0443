"""Where an artifact lies and what it is made from: pure functions that every stage can call."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from quantize.recipes.catalogue import Recipe
from quantize.source.source_model import SourceModel

_HASH_DIGITS = 8


def model_directory(artifacts: Path, model: SourceModel) -> Path:
    """``<artifacts>/<name>-<hash>``: two models of the same name never share artifacts.

    A folder is named by its last part, a Hugging Face id by both of its parts.
    """
    name = model.name.rstrip("/")
    is_folder = Path(name).expanduser().is_dir() or name.startswith(("/", ".", "~"))
    plain = Path(name).expanduser().resolve().name if is_folder else name.replace("/", "--")
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip(".-") or "model"
    return artifacts / f"{safe}-{model.sha256[:_HASH_DIGITS]}"


def artifact_directory(artifacts: Path, model: SourceModel, recipe_name: str) -> Path:
    """The directory that holds one finished artifact and nothing else."""
    return model_directory(artifacts, model) / recipe_name


def inputs_sha256(
    model: SourceModel,
    recipe: Recipe,
    *,
    method_version: int,
    tool: str,
    tool_version: str,
    libraries: Mapping[str, str],
    calibration_sha256: str | None,
    source_sha256: str | None,
) -> str:
    """Hash of everything that decides what an artifact holds.

    ``libraries`` are the versions of those that the tool computes with.
    ``calibration_sha256`` is that of the calibration set's text and size (the tokenizer belongs
    to the model's hash); ``source_sha256`` is the inputs hash of the artifact the recipe reads.
    """
    parts = {
        "model": model.sha256,
        "recipe": recipe.name,
        "method": recipe.method,
        "method_version": method_version,
        "parameters": dict(recipe.parameters),
        "tool": tool,
        "tool_version": tool_version,
        "libraries": dict(libraries),
        "calibration": calibration_sha256 if recipe.calibrated else None,
        "source": source_sha256,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
