"""The normalised folder of a model among its artifacts: what every stage and tool gets of it."""

from contextlib import AbstractContextManager
from pathlib import Path

from quantize.artifact_paths import source_directory
from quantize.by_llamacpp.converter_limits import pre_tokenizers
from quantize.source.normalised_folder import (
    PreparedSource,
    Reader,
    examined_source,
    prepare_source,
)
from quantize.source.published import published_of, read_published
from quantize.source.reading import read_source
from quantize.source.source_model import SourceModel


def prepared(model: SourceModel, artifacts: Path) -> PreparedSource:
    """The model as everything is to read it; its folder is made where it is not there.

    Raises:
        ValueError: the model is refused.
        ToolError: the control environment is missing.
        OSError: the folder cannot be written.
    """
    directory = source_directory(artifacts, model)
    return prepare_source(model, directory, pre_tokenizers().probe, _reader(model))


def examined(model: SourceModel, artifacts: Path) -> AbstractContextManager[PreparedSource]:
    """The same for as long as the block lasts, and nothing left behind.

    Raises:
        ValueError, ToolError, OSError: as ``prepared``.
    """
    directory = source_directory(artifacts, model)
    return examined_source(model, directory, pre_tokenizers().probe, _reader(model))


def _reader(model: SourceModel) -> Reader:
    """How its folder is read: one that no recipe is carried out on may hold anything."""
    published = published_of(model)
    return read_published if published is not None and published.alone else read_source
