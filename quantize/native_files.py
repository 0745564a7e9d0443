"""The ``native-*`` recipes: a published checkpoint's own files, linked, beside the model's words.

Weights are not copied: they are hashed, so that one which changes later is refused before it is
served. Tokenizer, templates and end tokens are those of the model that it is compared with.
"""

import json
import resource
import shutil
from pathlib import Path

from quantize.artifact.conversation import CONVERSATION_FILES
from quantize.artifact.gguf_header import GGUF_NAME
from quantize.artifact.manifest import TokenizerDifferences
from quantize.artifact.safetensors_header import INDEX_NAME
from quantize.bf16_copy import copy_companions
from quantize.by_llamacpp.gguf_tokenizer import hold_tokenizer
from quantize.method import Job, Outcome, RecipeError
from quantize.source.model_shape import SHAPES
from quantize.source.published import published_of, read_published
from quantize.source.source_model import check_finite
from quantize.source.source_tensors import lacking_module
from quantize.source.weight_set import index_of

# What a server reads beside a GGUF file.
_BESIDE = (*CONVERSATION_FILES, "generation_config.json")


def make(job: Job) -> Outcome:
    """Link a checkpoint into ``job.output``.

    Raises:
        RecipeError: it lacks a layer of its architecture, or reads text as another model does.
        SourceModelError: it holds numbers that are none.
    """
    model = published_of(job.model)
    assert model is not None, job.model
    if model.published.is_gguf:
        return _link_gguf(job, model.published.path)
    _link_folder(job, model.published.path)
    return Outcome(
        calibration_sha256=None,
        peak_memory_bytes=_peak_bytes(),
        notes=_notes(model.published.path),
    )


def _link_gguf(job: Job, file: Path) -> Outcome:
    target = job.output / GGUF_NAME
    target.symlink_to(file.resolve())
    for name in _BESIDE:
        if (job.folder / name).is_file():
            shutil.copyfile(job.folder / name, job.output / name)
    tokenizer, peak_bytes = _held_tokenizer(job, target)
    return Outcome(
        calibration_sha256=None,
        peak_memory_bytes=max(peak_bytes, _peak_bytes()),
        tokenizer=tokenizer,
        notes=_notes(file),
    )


def _notes(path: Path) -> tuple[str, ...]:
    return (f"served as it was published: {path.resolve()}",)


def _held_tokenizer(job: Job, target: Path) -> tuple[TokenizerDifferences, int]:
    try:
        return hold_tokenizer(job, target)
    except RecipeError as error:
        raise RecipeError(
            f"{error}; name the folder of the weights that it was made from as the baseline"
        ) from None


def _link_folder(job: Job, folder: Path) -> None:
    reading = read_published(folder)
    if reading.shape.architecture in SHAPES:
        lacking = lacking_module(reading.shape, reading.weights.tensors)
        if lacking is not None:
            raise RecipeError(f"{folder} lacks {lacking}, which its config.json asks for")
    job.progress("looking through the numbers")
    check_finite(reading)
    for path in reading.weights.files:
        (job.output / path.name).symlink_to(path.resolve())
    if len(reading.weights.files) > 1:
        (job.output / INDEX_NAME).write_text(index_of(reading.weights.files))
    copy_companions(job.folder, job.output)
    content = dict(reading.config.content)
    (job.output / "config.json").write_text(json.dumps(content, indent=2) + "\n")


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
