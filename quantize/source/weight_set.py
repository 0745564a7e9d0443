"""Which of a folder's files hold the model's weights: one answer for every tool.

The rule is that of transformers (``_get_resolved_checkpoint_files`` in modeling_utils.py):
``model.safetensors`` if it is there, else the files that ``model.safetensors.index.json`` names.
Other tools have other rules, so a folder of which they would read different weights is refused.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from quantize.artifact.safetensors_header import INDEX_NAME, read_safetensors
from quantize.artifact.stored_tensor import StoredTensor, WeightFileError
from quantize.source.source_error import SourceModelError, read_json, refuse_dangling

MERGED_NAME = "model.safetensors"
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
_BLOCK_BYTES = 1 << 24


@dataclass(frozen=True, kw_only=True)
class WeightSet:
    """The files that count, each with its tensors; ``ignored`` are others that hold weights."""

    files: Mapping[Path, tuple[StoredTensor, ...]]
    ignored: tuple[str, ...]

    @property
    def tensors(self) -> list[StoredTensor]:
        """The tensors of all files."""
        return [tensor for group in self.files.values() for tensor in group]

    def sha256_of(self, name: str) -> str:
        """Hash of one tensor's type, shape and bytes."""
        path, tensor = next(
            (path, tensor)
            for path, group in self.files.items()
            for tensor in group
            if tensor.name == name
        )
        digest = hashlib.sha256(f"{tensor.kind} {tensor.shape}".encode())
        with path.open("rb") as stream:
            stream.seek(tensor.offset)
            left = tensor.size_bytes
            while left:
                block = stream.read(min(left, _BLOCK_BYTES))
                digest.update(block)
                left -= len(block)
        return digest.hexdigest()


def choose_weights(folder: Path) -> WeightSet:
    """The weights of a model's folder.

    Raises:
        SourceModelError: there are none, two sets that differ, a stale index, a link to nowhere,
            or a file that is damaged.
    """
    present = sorted(path.name for path in folder.iterdir() if path.suffix in _WEIGHTS)
    index = _indexed(folder)
    shards = [name for name in present if _SHARD.fullmatch(name)]
    if MERGED_NAME in present:
        refuse_dangling(folder / MERGED_NAME)
        chosen = [MERGED_NAME]
        _check_rivals(folder, set(index.values()), {*index.values(), *shards} - {MERGED_NAME})
    elif index:
        chosen = sorted(set(index.values()))
    else:
        raise SourceModelError(_nothing_found(folder, present))
    for name in chosen:
        refuse_dangling(folder / name)
        if not (folder / name).is_file():
            raise SourceModelError(
                f"{folder} has no {name}, which {INDEX_NAME} names: the index is stale, or the "
                "model was not downloaded whole"
            )
    files = _read(folder, chosen)
    if MERGED_NAME not in chosen:
        _check_index(folder, index, files)
    ignored = [name for name in present if name not in chosen]
    if (folder / "original").is_dir():
        ignored.append("original/")
    return WeightSet(files=files, ignored=tuple(ignored))


def _indexed(folder: Path) -> dict[str, str]:
    """File names by tensor, as the index says; empty where there is none."""
    refuse_dangling(folder / INDEX_NAME)
    index = read_json(folder / INDEX_NAME)
    if index is None:
        return {}
    named = index.get("weight_map")
    if not isinstance(named, dict) or not named:
        raise SourceModelError(f"{folder / INDEX_NAME} is damaged: it has no weight_map")
    for name in set(named.values()):
        if not isinstance(name, str) or Path(name).name != name:
            raise SourceModelError(f"{folder / INDEX_NAME} is damaged: it names {name!r} as a file")
    return named


def _nothing_found(folder: Path, present: list[str]) -> str:
    if any(_SHARD.fullmatch(name) for name in present):
        return f"{folder} has parts of a model but no {INDEX_NAME}, which says what lies where"
    found = f" (found {', '.join(islice(present, 3))})" if present else ""
    return f"{folder} has no {MERGED_NAME}: weights as safetensors are needed{found}"


def _check_rivals(folder: Path, indexed: set[str], rivals: set[str]) -> None:
    """Parts of a model beside ``model.safetensors``: the same weights again, or a refusal."""
    there = sorted(name for name in rivals if (folder / name).is_file())
    gone = sorted(indexed - {MERGED_NAME} - set(there))
    if gone:
        raise SourceModelError(
            f"{folder / INDEX_NAME} is stale: it names {gone[0]}, which is not there, beside a "
            f"{MERGED_NAME}; delete the index if {MERGED_NAME} is the model"
        )
    if there and not _same(folder, [MERGED_NAME], there):
        raise SourceModelError(
            f"{folder} holds two models: {MERGED_NAME} and {there[0]}"
            + (f" (and {len(there) - 1} more)" if there[1:] else "")
            + " have different weights; remove the one that is not meant"
        )


def _same(folder: Path, first: list[str], second: list[str]) -> bool:
    one, two = (WeightSet(files=_read(folder, names), ignored=()) for names in (first, second))
    names = {tensor.name for tensor in one.tensors}
    return names == {tensor.name for tensor in two.tensors} and all(
        one.sha256_of(name) == two.sha256_of(name) for name in names
    )


def _read(folder: Path, names: Iterable[str]) -> dict[Path, tuple[StoredTensor, ...]]:
    files: dict[Path, tuple[StoredTensor, ...]] = {}
    seen: dict[str, str] = {}
    for name in names:
        try:
            files[folder / name] = tuple(read_safetensors(folder / name))
        except (OSError, WeightFileError) as error:
            raise SourceModelError(str(error)) from None
        for tensor in files[folder / name]:
            if tensor.name in seen:
                raise SourceModelError(
                    f"{folder}: {tensor.name} lies in {seen[tensor.name]} and in {name}"
                )
            seen[tensor.name] = name
    return files


def _check_index(
    folder: Path, index: Mapping[str, str], files: Mapping[Path, tuple[StoredTensor, ...]]
) -> None:
    held = {path.name: {tensor.name for tensor in group} for path, group in files.items()}
    for tensor, name in index.items():
        if tensor not in held[name]:
            raise SourceModelError(
                f"{folder / INDEX_NAME} is stale: it says that {name} holds {tensor}, "
                "which is not in it"
            )


def index_of(files: Mapping[Path, tuple[StoredTensor, ...]]) -> str:
    """The index of weights in several files, as JSON."""
    where = {tensor.name: path.name for path, group in files.items() for tensor in group}
    size = sum(tensor.size_bytes for group in files.values() for tensor in group)
    content = {"metadata": {"total_size": size}, "weight_map": dict(sorted(where.items()))}
    return json.dumps(content, indent=2) + "\n"
