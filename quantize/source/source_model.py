"""The model a user names: found, fingerprinted, and its weights looked through.

No torch: the control environment asks the same questions as the recipes.
"""

import hashlib
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import huggingface_hub
import numpy as np

from quantize.artifact.manifest import sha256_of_files
from quantize.artifact.safetensors_header import INDEX_NAME
from quantize.artifact.stored_tensor import StoredTensor
from quantize.processors import usable_cpus
from quantize.root import ROOT
from quantize.source.gguf_source import folder_of
from quantize.source.hub import HubError, fetched
from quantize.source.reading import CONFIG_FILES, TOKENIZER_FILES, SourceReading
from quantize.source.source_error import SourceModelError, refuse_dangling
from quantize.source.weight_set import choose_weights

REFERENCE = "reference"
REFERENCE_WEIGHTS = ROOT / "quantize" / "reference_model" / "weights"

# Where older tools say how a checkpoint is quantized.
_SIDE_FILES = ("hf_quant_config.json", "quantize_config.json", "quant_config.json")
_HUB_PATTERNS = [
    *(*CONFIG_FILES, *_SIDE_FILES, *TOKENIZER_FILES),
    *("*.safetensors", INDEX_NAME),
]
_BLOCK_BYTES = 1 << 24
# Types of numbers that may be none; packed codes are always some.
_CHECKED = ("BF16", "F16", "F32", "F8_E4M3")
# A file, and what changes with its content: device, inode, size, times in nanoseconds.
_State = tuple[Path, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """A model as its user named it, where that lies, and the SHA-256 of all that is read of it.

    No tool gets ``original``: it gets the folder that is made of it (normalised_folder.py).
    """

    name: str
    original: Path
    sha256: str


def resolve_model(name: str) -> Path:
    """The folder of ``reference``, of a folder, of a GGUF file, or of a Hugging Face id.

    An id is downloaded, and a GGUF file made a folder, where that was not done before.

    Raises:
        SourceModelError: there is no such folder, or the id cannot be downloaded.
    """
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return folder_of(path)
    return resolve_folder(name)


def resolve_folder(name: str) -> Path:
    """The same of what is no GGUF file.

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
        return fetched(huggingface_hub.snapshot_download, name, allow_patterns=_HUB_PATTERNS)
    except HubError as error:
        raise SourceModelError(
            f"{name!r} is no folder here and cannot be downloaded from the Hugging Face hub "
            f"({error}); give the path of a local copy"
        ) from None


def fingerprint(name: str) -> SourceModel:
    """Resolve a model and hash every file of it that reaches an artifact.

    Raises:
        SourceModelError: it cannot be found, or its files are not there.
    """
    return fingerprint_of(name, resolve_model(name))


def fingerprint_of(name: str, folder: Path) -> SourceModel:
    """The same of a model that was found in ``folder``.

    Raises:
        SourceModelError: its files are not there.
    """
    others = (*CONFIG_FILES, *_SIDE_FILES, *TOKENIZER_FILES)
    for item in others:
        refuse_dangling(folder / item)
    names = sorted(
        {path.name for path in choose_weights(folder).files}
        | {item for item in others if (folder / item).is_file()}
    )
    digest = hashlib.sha256()
    try:
        states = tuple(_state(folder / item) for item in names)
        for item, found in zip(names, _hashes(states), strict=True):
            digest.update(f"{item}\0{found}\n".encode())
    except OSError as error:
        raise SourceModelError(str(error)) from None
    return SourceModel(name=name, original=folder, sha256=digest.hexdigest())


def _state(path: Path) -> _State:
    found = path.stat()
    return path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def hash_once(path: Path) -> str:
    """The SHA-256 of a file, read once by a process that asks for it at every turn."""
    return _hashes((_state(path),))[0]


@lru_cache(maxsize=8)
def _hashes(states: tuple[_State, ...]) -> list[str]:
    """The files' hashes; a process asks for them at every turn, of a model of many gigabytes."""
    return sha256_of_files([path for path, _ in states])


def check_finite(reading: SourceReading) -> None:
    """Refuse weights that are no numbers; reads every one once, in blocks of 16 MiB.

    As many files are read at once as there are processors.

    Raises:
        SourceModelError: naming the file and the first such tensor.
    """
    files = reading.weights.files
    try:
        with ThreadPoolExecutor(usable_cpus()) as pool:
            for _ in pool.map(_check_file, files.keys(), files.values()):
                pass
    except OSError as error:
        raise SourceModelError(str(error)) from None


def _check_file(path: Path, tensors: Iterable[StoredTensor]) -> None:
    with path.open("rb") as stream:
        for tensor in (each for each in tensors if each.kind in _CHECKED):
            stream.seek(tensor.offset)
            left = tensor.size_bytes
            while left:
                block = stream.read(min(left, _BLOCK_BYTES))
                if not _all_finite(block, tensor.kind):
                    raise SourceModelError(f"{path}: {tensor.name} holds NaN or infinity")
                left -= len(block)


def _all_finite(block: bytes, kind: str) -> bool:
    """Whether no value has an all-ones exponent (IEEE 754; bfloat16: the same with 8 bits)."""
    if kind == "F8_E4M3":
        # No infinities; NaN is all ones but for the sign (OCP 8-bit floating point, 5.2).
        return not bool(((np.frombuffer(block, "u1") & 0x7F) == 0x7F).any())
    if kind == "F32":
        return bool(np.isfinite(np.frombuffer(block, "<f4")).all())
    exponent = 0x7F80 if kind == "BF16" else 0x7C00
    return not bool(((np.frombuffer(block, "<u2") & exponent) == exponent).any())
