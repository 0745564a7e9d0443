"""Where an artifact lies: pure functions that every stage can call."""

import re
from pathlib import Path

from quantize.recipes.recipe import NATIVE
from quantize.source.published import published_of
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
    """The directory that holds one finished artifact and nothing else.

    A published checkpoint's lies among those of its baseline, which may have several.
    """
    published = published_of(model)
    if published is not None and recipe_name.startswith(NATIVE):
        recipe_name = f"{recipe_name}-{published.published_sha256[:_HASH_DIGITS]}"
    return model_directory(artifacts, model) / recipe_name


def source_directory(artifacts: Path, model: SourceModel) -> Path:
    """The normalised folder of the model that its artifacts are made from."""
    return model_directory(artifacts, model) / "source"
