"""The model a user names: found, fingerprinted, and checked before any work starts.

No torch: the control environment asks the same questions as the recipes.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from quantize.artifact.manifest import sha256_of_file
from quantize.artifact.safetensors_header import INDEX_NAME, read_checkpoint, weight_files
from quantize.artifact.stored_tensor import StoredTensor, WeightFileError
from quantize.recipes.recipe import Recipe
from quantize.root import ROOT
from quantize.source.model_shape import ShapeError
from quantize.source.source_tensors import SourceTensorError, check_tensors

REFERENCE = "reference"
REFERENCE_WEIGHTS = ROOT / "quantize" / "reference_model" / "weights"

ARCHITECTURES = (
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "MixtralForCausalLM",
    "Qwen3MoeForCausalLM",
)
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
CONFIG_FILES = ("config.json", "generation_config.json")
# Any one of these holds a whole vocabulary.
_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_HUB_PATTERNS = [*CONFIG_FILES, *TOKENIZER_FILES, "*.safetensors", INDEX_NAME]
_FLOATS = ("BF16", "F16", "F32")
_BLOCK_BYTES = 1 << 24


class SourceModelError(ValueError):
    """The source model cannot be found, read or quantized; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """A model as its user named it, its folder, and the SHA-256 of all that recipes read of it."""

    name: str
    folder: Path
    sha256: str


def resolve_model(name: str) -> Path:
    """The folder of ``reference``, of a folder, or of a Hugging Face id (downloaded if needed).

    Raises:
        SourceModelError: there is no such folder, or the id cannot be downloaded.
    """
    folder = REFERENCE_WEIGHTS if name == REFERENCE else Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name == REFERENCE:
        raise SourceModelError(f"the reference model's weights are not at {folder}")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.startswith("."):
        raise SourceModelError(f"no model folder {name!r} (and no Hugging Face id: owner/name)")
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_HUB_PATTERNS))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise SourceModelError(
            f"{name!r} is no folder here and cannot be downloaded from the Hugging Face hub "
            f"({type(error).__name__}: {first_line}); give the path of a local copy"
        ) from None


def fingerprint(name: str) -> SourceModel:
    """Resolve a model and hash every file of it that reaches an artifact.

    Raises:
        SourceModelError: it cannot be found, or its files are not there.
    """
    folder = resolve_model(name)
    try:
        names = sorted(
            {path.name for path in weight_files(folder)}
            | {item for item in (*CONFIG_FILES, *TOKENIZER_FILES) if (folder / item).is_file()}
        )
        digest = hashlib.sha256()
        for item in names:
            digest.update(f"{item}\0{sha256_of_file(folder / item)}\n".encode())
    except (OSError, WeightFileError) as error:
        raise SourceModelError(str(error)) from None
    return SourceModel(name=name, folder=folder, sha256=digest.hexdigest())


def read_config(folder: Path) -> dict[str, Any]:
    """The model's ``config.json``.

    Raises:
        SourceModelError: it is missing or no JSON object.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError:
        raise SourceModelError(f"{folder} is no model: it has no config.json") from None
    except (OSError, ValueError) as error:
        raise SourceModelError(f"{path} cannot be read ({error})") from None
    if not isinstance(config, dict):
        raise SourceModelError(f"{path} holds no JSON object")
    return config


def check_source_model(folder: Path, recipes: Iterable[Recipe]) -> None:
    """Refuse, before any work starts, a model that a recipe cannot quantize.

    Reads every weight once (NaN and infinity), in blocks of 16 MiB.

    Raises:
        SourceModelError: naming the file or the layer, and what would be accepted.
    """
    config = read_config(folder)
    _check_config(config)
    if not any((folder / item).is_file() for item in _VOCABULARIES):
        raise SourceModelError(f"{folder} has no tokenizer ({', '.join(_VOCABULARIES)})")
    try:
        files = read_checkpoint(folder)
        for tensors in files.values():
            _check_layers(tensors, recipes)
        check_tensors(config, chain.from_iterable(files.values()))
        for path, tensors in files.items():
            _check_finite(path, tensors)
    except (SourceTensorError, ShapeError) as error:
        raise SourceModelError(f"{folder}: {error}") from None
    except (OSError, WeightFileError) as error:
        raise SourceModelError(str(error)) from None


def _check_config(config: dict[str, Any]) -> None:
    architectures = config.get("architectures") or ["none named"]
    if architectures[0] not in ARCHITECTURES:
        raise SourceModelError(
            f"architecture {architectures[0]} is not supported (supported: "
            f"{', '.join(ARCHITECTURES)})"
        )
    if "quantization_config" in config:
        raise SourceModelError("the model is quantized already; give the original 16-bit weights")


def _check_layers(tensors: Iterable[StoredTensor], recipes: Iterable[Recipe]) -> None:
    strictest = max(recipes, key=lambda recipe: recipe.row_multiple)
    for tensor in tensors:
        if tensor.kind not in _FLOATS:
            raise SourceModelError(
                f"{tensor.name} is stored as {tensor.kind}; source weights are {', '.join(_FLOATS)}"
            )
        in_block = ".layers." in tensor.name and len(tensor.shape) == 2
        if in_block and tensor.shape[1] % strictest.row_multiple:
            raise SourceModelError(
                f"{tensor.name} has rows of {tensor.shape[1]} values; {strictest.name} needs a "
                f"multiple of {strictest.row_multiple}"
            )


def _check_finite(path: Path, tensors: Iterable[StoredTensor]) -> None:
    with path.open("rb") as stream:
        for tensor in tensors:
            stream.seek(tensor.offset)
            left = tensor.size_bytes
            while left:
                block = stream.read(min(left, _BLOCK_BYTES))
                if not _all_finite(block, tensor.kind):
                    raise SourceModelError(f"{path}: {tensor.name} holds NaN or infinity")
                left -= len(block)


def _all_finite(block: bytes, kind: str) -> bool:
    """Whether no value has an all-ones exponent (IEEE 754; bfloat16: the same with 8 bits)."""
    if kind == "F32":
        return bool(np.isfinite(np.frombuffer(block, "<f4")).all())
    exponent = 0x7F80 if kind == "BF16" else 0x7C00
    return not bool(((np.frombuffer(block, "<u2") & exponent) == exponent).any())
