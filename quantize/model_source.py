"""The normalised folder of a model among its artifacts: what every stage and tool gets of it."""

from contextlib import AbstractContextManager
from pathlib import Path

from quantize.artifact_paths import source_directory
from quantize.by_llamacpp.converter_limits import pre_tokenizers
from quantize.source.normalised_folder import PreparedSource, examined_source, prepare_source
from quantize.source.source_model import SourceModel


def prepared(model: SourceModel, artifacts: Path) -> PreparedSource:
    """The model as everything is to read it; its folder is made where it is not there.

    Raises:
        ValueError: the model is refused.
        ToolError: the control environment is missing.
        OSError: the folder cannot be written.
    """
    return prepare_source(model, source_directory(artifacts, model), pre_tokenizers().probe)


def examined(model: SourceModel, artifacts: Path) -> AbstractContextManager[PreparedSource]:
    """The same for as long as the block lasts, and nothing left behind.

    Raises:
        ValueError, ToolError, OSError: as ``prepared``.
    """
    return examined_source(model, source_directory(artifacts, model), pre_tokenizers().probe)
