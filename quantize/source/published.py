"""A checkpoint as its publisher made it: quantized already, or of an architecture of its own.

No recipe is carried out on it and no table of formats is read here: what it announces is found,
with its tensors and its tokenizer. Which format that is, is recognised in published_model.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from quantize.artifact.gguf_header import GgufFile, read_gguf
from quantize.artifact.stored_tensor import WeightFileError
from quantize.source.model_shape import ShapeError, outline
from quantize.source.reading import SourceReading, tokenizer_files
from quantize.source.source_config import read_any_config
from quantize.source.source_error import SourceModelError, read_json
from quantize.source.source_model import SourceModel
from quantize.source.weight_set import choose_weights

# Where checkpoints say how they are quantized, if config.json does not, and by which method.
SIDE_FILES: Mapping[str, str] = {
    "hf_quant_config.json": "modelopt",
    "quantize_config.json": "gptq",
    "quant_config.json": "awq",
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published checkpoint: where it lies, its format, and what its headers tell.

    ``path`` is a folder or a GGUF file, ``form`` a row of the tables of formats.
    """

    name: str
    path: Path
    form: str
    weight_bytes: int
    parameters: int
    bits_per_weight: float

    @property
    def is_gguf(self) -> bool:
        """Whether it is one file of llama.cpp's."""
        return self.path.suffix == ".gguf"


@dataclass(frozen=True, kw_only=True)
class PublishedModel(SourceModel):
    """A model whose user named a published checkpoint.

    ``original`` are the 16-bit weights beside it, of which recipes can be made: those that the user
    named too, or what a GGUF file decodes to. Where it is ``alone`` there are none, and
    ``original`` is what its tokenizer and configuration are read from.
    """

    published: Published
    published_sha256: str
    alone: bool


def published_of(model: SourceModel) -> PublishedModel | None:
    """A model as a published one; None where it is none."""
    return model if isinstance(model, PublishedModel) else None


def announced_in(folder: Path, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a checkpoint says of its quantization, as ``quantization_config``; None where nothing.

    Older tools wrote it to a file of its own, ModelOpt under a key of its own.
    """
    said = config.get("quantization_config") or config.get("compression_config")
    if isinstance(said, dict):
        return said
    for name, method in SIDE_FILES.items():
        content = read_json(folder / name)
        if content is not None:
            return _from_side_file(content, method)
    return None


def _from_side_file(content: Mapping[str, Any], method: str) -> dict[str, Any]:
    inner = content.get("quantization")
    said = dict(inner) if isinstance(inner, dict) else dict(content)
    if "exclude_modules" in said:
        said["ignore"] = said.pop("exclude_modules")
    if said.pop("kv_cache_quant_algo", None) == "FP8":
        said["kv_cache_scheme"] = {"dynamic": False, "num_bits": 8, "type": "float"}
    return {"quant_method": method, **said}


def read_published(folder: Path) -> SourceReading:
    """Read a checkpoint's folder: its tensors may be of any type, its architecture any.

    Raises:
        SourceModelError: naming the file or the key, and what to change.
    """
    config = read_any_config(folder)
    said = announced_in(folder, config.content)
    if said is not None:
        config = replace(config, content={**config.content, "quantization_config": said})
    try:
        shape = outline(config.content)
    except ShapeError as error:
        raise SourceModelError(f"{folder}: {error}") from None
    weights = choose_weights(folder)
    notes = list(config.notes)
    if weights.ignored:
        notes.append(f"not the model's, not read: {', '.join(weights.ignored)}")
    return SourceReading(
        folder=folder,
        config=config,
        shape=shape,
        weights=weights,
        tokenizer_files=tokenizer_files(folder),
        notes=tuple(notes),
    )


def gguf_in(path: Path) -> Path | None:
    """The GGUF file that a path names: itself, or the only one in a folder without other weights.

    Raises:
        SourceModelError: the folder has several.
    """
    if path.is_file():
        return path if path.suffix == ".gguf" else None
    files = sorted(path.glob("*.gguf")) if path.is_dir() else []
    if not files or any(path.glob("*.safetensors")):
        return None
    if files[1:]:
        names = ", ".join(file.name for file in files[:3])
        raise SourceModelError(f"{path} has {len(files)} GGUF files ({names}, …): name one of them")
    return files[0]


def read_whole_gguf(file: Path) -> GgufFile:
    """The header of a GGUF file that holds the whole model.

    Raises:
        SourceModelError: it is damaged, a part of a model, or no language model's.
    """
    try:
        content = read_gguf(file)
    except (OSError, WeightFileError) as error:
        raise SourceModelError(str(error)) from None
    parts = content.metadata.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        raise SourceModelError(
            f"{file} is one of {parts} parts of a model; join them: llama-gguf-split --merge"
        )
    return content
