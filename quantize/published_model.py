"""Recognise what a user named: 16-bit weights for recipes, or a published checkpoint to be served.

Headers and JSON files are read to recognise it; ``find_model`` hashes it too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from quantize.artifact.gguf_header import GgufFile, linear_gguf_tensors
from quantize.artifact.stored_tensor import StoredTensor
from quantize.artifact.weight_measures import (
    WeightMeasures,
    measure_gguf_tensors,
    measure_tensors,
)
from quantize.formats.layer_format import WHOLE_ROW
from quantize.formats.published_formats import EVERY_FORMAT, MOSTLY, announced_row
from quantize.formats.storage_formats import FORMATS
from quantize.source.gguf_config import config_of
from quantize.source.gguf_source import folder_of
from quantize.source.model_shape import SHAPES, ModelShape, outline
from quantize.source.published import (
    Published,
    PublishedModel,
    announced_in,
    gguf_in,
    read_published,
    read_whole_gguf,
)
from quantize.source.source_config import (
    architecture_of,
    read_any_config,
    read_source_config,
)
from quantize.source.source_error import SourceModelError
from quantize.source.source_model import (
    SourceModel,
    fingerprint,
    fingerprint_of,
    hash_once,
    resolve_folder,
)
from quantize.source.weight_set import choose_weights


def recognise(name: str) -> Published | None:
    """The published checkpoint that a name means; None where it means weights for recipes.

    An id is downloaded where that was not done before.

    Raises:
        SourceModelError: there is no such model, or it is quantized in no format that is known.
    """
    path = Path(name).expanduser()
    file = gguf_in(path)
    if file is not None:
        return _of_gguf(name, file)
    return _of_folder(name, resolve_folder(name))


def _of_gguf(name: str, file: Path) -> Published:
    form, measures = _measured(file, _header(file).tensors)
    return _published(name, file, form, measures)


def _header(file: Path) -> GgufFile:
    """A GGUF file's header: it holds a whole vocabulary, and is read once."""
    found = file.stat()
    return _header_as_of(file, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4)
def _header_as_of(file: Path, *_state: int) -> GgufFile:
    return read_whole_gguf(file)


def _measured(file: Path, tensors: Sequence[StoredTensor]) -> tuple[str, WeightMeasures]:
    """A GGUF file's format and measures."""
    sizes: Counter[str] = Counter()
    for tensor in linear_gguf_tensors(tensors):
        sizes[tensor.kind] += tensor.elements
    form = f"{MOSTLY}{max(sizes, key=sizes.__getitem__).lower()}" if sizes else ""
    if form not in EVERY_FORMAT:
        raise SourceModelError(f"{file} holds no language model that llama.cpp would serve")
    return form, measure_gguf_tensors(tensors)


def _of_folder(name: str, folder: Path) -> Published | None:
    config = read_any_config(folder)
    said = announced_in(folder, config.content)
    if said is None and architecture_of(config.content) in SHAPES:
        return None
    form = "bf16" if said is None else form_of(said)
    measures = measure_tensors(choose_weights(folder).tensors)
    return _published(name, folder, form, measures)


def _published(name: str, path: Path, form: str, measures: WeightMeasures) -> Published:
    return Published(
        name=name,
        path=path,
        form=form,
        weight_bytes=measures.weight_bytes,
        parameters=measures.parameter_count,
        bits_per_weight=measures.bits_per_weight,
    )


def form_of(description: Mapping[str, Any]) -> str:
    """The format that a ``quantization_config`` announces.

    Raises:
        SourceModelError: none that is known; the message says what is.
    """
    row = announced_row(description)
    if row is None:
        raise SourceModelError(_unknown(description))
    in_order = description.get("desc_act") and description.get("group_size") != WHOLE_ROW
    actorder = row.name.replace("-sym", "-actorder")
    if "desc_act" in row.chosen and in_order and actorder in FORMATS:
        return actorder
    return row.name


def _unknown(description: Mapping[str, Any]) -> str:
    method = description.get("quant_method", "not named")
    keys = ("quant_algo", "format", "bits", "sym", "zero_point", "load_in_4bit", "load_in_8bit")
    details = ", ".join(f"{key} {description[key]}" for key in keys if key in description)
    known = ", ".join(row.name for row in EVERY_FORMAT.values() if row.announced)
    return (
        "the model is quantized already, in a format that is not known here (quant_method "
        f"{method}{', ' if details else ''}{details}); give the original 16-bit weights, or a "
        f"checkpoint in one of: {known}"
    )


def find_model(name: str, baseline: str | None = None) -> SourceModel:
    """The model that a user named, hashed; ``baseline`` names the weights beside a published one.

    Raises:
        SourceModelError: one of them cannot be found or used.
        ToolError: a GGUF file cannot be made a folder, for want of an environment.
    """
    published = recognise(name)
    if published is None:
        _refuse_baseline(name, baseline)
        return fingerprint(name)
    source, alone = _source_of(published, baseline)
    return PublishedModel(
        name=source.name,
        original=source.original,
        sha256=source.sha256,
        published=published,
        published_sha256=_sha256_of(published),
        alone=alone,
    )


def what_recipes_read(
    name: str, published: Published | None, baseline: str | None = None
) -> tuple[Mapping[str, Any], ModelShape]:
    """Configuration and shape of the weights that recipes can be made of, or else of the model.

    Raises:
        SourceModelError: one of them cannot be found, or read.
        ShapeError: its configuration does not say what is needed.
    """
    if published is None:
        _refuse_baseline(name, baseline)
    if published is None or baseline is not None:
        folder = resolve_folder(baseline or name)
        config = read_source_config(folder).content
    elif published.is_gguf:
        config = config_of(_header(published.path))
    else:
        folder = published.path
        config = read_published(folder).config.content
    return config, outline(config)


def _refuse_baseline(name: str, baseline: str | None) -> None:
    if baseline is not None:
        raise SourceModelError(
            f"{name} has 16-bit weights itself: {baseline} can be the baseline of a published "
            "quantized checkpoint alone"
        )


def _source_of(published: Published, baseline: str | None) -> tuple[SourceModel, bool]:
    """The weights beside a published checkpoint, and whether recipes cannot be made of them."""
    if baseline is not None:
        if recognise(baseline) is not None:
            raise SourceModelError(
                f"the baseline {baseline} is no 16-bit model of an architecture that recipes know"
            )
        return fingerprint(baseline), False
    if not published.is_gguf:
        return fingerprint(published.name), True
    folder = folder_of(published.path)
    known = architecture_of(read_any_config(folder).content) in SHAPES
    return fingerprint_of(published.name, folder), not known


def _sha256_of(published: Published) -> str:
    if published.is_gguf:
        return hash_once(published.path)
    return fingerprint_of(published.name, published.path).sha256


def check_same_vocabulary(model: PublishedModel) -> None:
    """Refuse a checkpoint whose vocabulary is not that of the weights it is compared with.

    Raises:
        SourceModelError: with both sizes.
    """
    if model.alone or model.published.is_gguf:
        return
    sizes = [
        read_published(folder).shape.vocabulary for folder in (model.published.path, model.original)
    ]
    if sizes[0] != sizes[1]:
        raise SourceModelError(
            f"{model.published.path} has a vocabulary of {sizes[0]}, its baseline {model.name} one "
            f"of {sizes[1]}: name the weights that it was made from"
        )
