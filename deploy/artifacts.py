"""Where the artifacts of the plan's model lie, and the model as tools read it."""

from pathlib import Path

from deploy.plan import Plan
from quantize.artifact_paths import artifact_directory
from quantize.model_source import prepared
from quantize.published_model import find_model
from quantize.root import ROOT
from quantize.source.source_model import SourceModel

ARTIFACTS_DIR = ROOT / "artifacts"


def artifact_of(model: SourceModel, recipe: str) -> Path:
    """Where a recipe's artifact of a model lies."""
    return artifact_directory(ARTIFACTS_DIR, model, recipe)


def source_model(plan: Plan) -> SourceModel:
    """The plan's model, found and fingerprinted.

    Raises:
        ValueError: there is no such model, or it cannot be used.
    """
    return find_model(plan.model, plan.source)


def source_folder(plan: Plan) -> Path:
    """The normalised folder of the plan's model, made where it is not there: what tools read.

    Raises:
        ValueError: there is no such model, or it cannot be used.
    """
    return prepared(source_model(plan), ARTIFACTS_DIR).folder
