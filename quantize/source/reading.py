"""One reading of a model's folder, from which every recipe and every tool gets what it sees.

Headers and JSON files are read here, weights are not (but to compare what might be two models).
What it says of the tokenizer is found out by loading it: normalised_folder.py.
"""

from dataclasses import dataclass
from pathlib import Path

from quantize.source.gguf_source import NOTE_NAME
from quantize.source.model_shape import ModelShape, ShapeError, read_shape
from quantize.source.source_config import SourceConfig, read_source_config
from quantize.source.source_error import SourceModelError, read_json, refuse_dangling
from quantize.source.source_tensors import EMBEDDING, HEAD, SourceTensorError, check_tensors
from quantize.source.weight_set import WeightSet, choose_weights

CONFIG_FILES = ("config.json", "generation_config.json")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
# Any one of these holds a whole vocabulary.
_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_FLOATS = ("BF16", "F16", "F32")


@dataclass(frozen=True, kw_only=True)
class SourceReading:
    """What a model's folder holds, however it is laid out; ``notes`` are for its user."""

    folder: Path
    config: SourceConfig
    shape: ModelShape
    weights: WeightSet
    tokenizer_files: tuple[str, ...]
    notes: tuple[str, ...]


def read_source(folder: Path) -> SourceReading:
    """Read a model's folder and refuse what tools would read in different ways.

    Raises:
        SourceModelError: naming the file, the tensor or the key, and what to change.
    """
    config = read_source_config(folder)
    try:
        shape = read_shape(config.content)
    except ShapeError as error:
        raise SourceModelError(f"{folder}: {error}") from None
    names = tokenizer_files(folder)
    weights = choose_weights(folder)
    for tensor in weights.tensors:
        if tensor.kind not in _FLOATS:
            raise SourceModelError(
                f"{tensor.name} is stored as {tensor.kind}; source weights are {', '.join(_FLOATS)}"
            )
    try:
        check_tensors(shape, weights.tensors)
    except SourceTensorError as error:
        raise SourceModelError(f"{folder}: {error}") from None
    _check_second_head(folder, shape, weights)
    notes = [*config.notes, *_of_gguf(folder)]
    if weights.ignored:
        notes.append(f"not the model's, not read: {', '.join(weights.ignored)}")
    return SourceReading(
        folder=folder,
        config=config,
        shape=shape,
        weights=weights,
        tokenizer_files=names,
        notes=tuple(notes),
    )


def _of_gguf(folder: Path) -> list[str]:
    """What there is to say of weights that were decoded from a GGUF file."""
    note = read_json(folder / NOTE_NAME)
    if note is None or not note.get("kinds"):
        return []
    return [
        f"{note['file']} was quantized already ({', '.join(note['kinds'])}): what it had lost is "
        "lost in every variant, the baseline too, and is not counted"
    ]


def tokenizer_files(folder: Path) -> tuple[str, ...]:
    """The files of a model's tokenizer.

    Raises:
        SourceModelError: none of them holds a vocabulary, or a link leads nowhere.
    """
    for name in TOKENIZER_FILES:
        refuse_dangling(folder / name)
    found = tuple(name for name in TOKENIZER_FILES if (folder / name).is_file())
    if not set(found) & set(_VOCABULARIES):
        raise SourceModelError(f"{folder} has no tokenizer ({', '.join(_VOCABULARIES)})")
    return found


def _check_second_head(folder: Path, shape: ModelShape, weights: WeightSet) -> None:
    """A head beside a tied embedding must be that embedding: some tools use it, others do not."""
    stored = {tensor.name for tensor in weights.tensors}
    if not shape.tied or HEAD not in stored:
        return
    if weights.sha256_of(HEAD) != weights.sha256_of(EMBEDDING):
        raise SourceModelError(
            f"{folder}: {HEAD} differs from {EMBEDDING}, but config.json says tie_word_embeddings; "
            f"set that to false if the head is the model's, or remove the head"
        )
