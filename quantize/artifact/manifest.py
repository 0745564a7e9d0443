"""The artifact's manifest: what was made, from what, how, and the hashes that prove it.

``manifest.json`` is written last, into a directory that is renamed into place whole: where it
exists, the artifact is complete.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quantize.processors import usable_cpus

MANIFEST_NAME = "manifest.json"
_CHUNK_BYTES = 1 << 20


class ArtifactError(ValueError):
    """An artifact is missing, incomplete or not what its manifest says."""


class FileEntry(BaseModel):
    """One file of an artifact; ``path`` is relative to the artifact directory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    size_bytes: int = Field(ge=0)
    sha256: str


class TokenizerDifferences(BaseModel):
    """How many of so many texts a tokenizer of the artifact reads otherwise than the model's own.

    ``examples`` are beginnings of such texts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: int = Field(ge=1)
    different: int = Field(ge=0)
    examples: tuple[str, ...]

    @property
    def share(self) -> float:
        """The part of the texts that differ, 0 to 1."""
        return self.different / self.texts


class Manifest(BaseModel):
    """The content of ``manifest.json``.

    ``inputs_sha256`` is the key of ``made_from`` (quantize/validity), which schema 1 did not have.
    ``weight_bytes`` is the size of all weight tensors as stored, ``quantized_weight_bytes`` and
    ``quantized_parameters`` count only the layers the recipe quantizes (packed values and their
    scales and zero points); ``bits_per_weight`` = 8 * quantized_weight_bytes /
    quantized_parameters, so it is effective: scales and zero points count.

    ``fallbacks`` are tensors that are stored as another type than the recipe's, because of their
    width. ``context_limit`` is the longest text that the artifact's engine computes as the model
    does (None: the model's own length). ``sampling_defaults`` are the model's wishes for requests
    that say nothing, which no variant obeys. ``notes`` say how the source was read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1, 2] = 2
    model: str
    model_sha256: str
    recipe: str
    parameters: dict[str, int | float | str | bool]
    weight_format: Literal["safetensors", "gguf"]
    tool: str
    tool_version: str
    calibration_sha256: str | None
    inputs_sha256: str
    made_from: dict[str, str] = {}
    parameter_count: int
    quantized_parameters: int
    weight_bytes: int
    quantized_weight_bytes: int
    bits_per_weight: float
    tensor_types: dict[str, int]
    fallbacks: dict[str, str] = {}
    tokenizer: TokenizerDifferences | None = None
    context_limit: int | None = None
    sampling_defaults: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    seconds: float
    peak_memory_bytes: int
    files: tuple[FileEntry, ...]

    @property
    def size_bytes(self) -> int:
        """Size of the whole artifact on disk, in bytes."""
        return sum(entry.size_bytes for entry in self.files)

    @property
    def content_sha256(self) -> str:
        """One hash over the names and contents of all files: the artifact's identity."""
        lines = sorted(f"{entry.sha256} {entry.path}" for entry in self.files)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hex SHA-256 of a file's content, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_files(paths: Sequence[Path]) -> list[str]:
    """The hash of each file, in their order; as many are read at once as there are processors.

    Neither reading nor hashing holds the interpreter's lock. OSError where one cannot be read.
    """
    with ThreadPoolExecutor(usable_cpus()) as pool:
        return list(pool.map(sha256_of_file, paths))


def read_manifest(artifact: Path) -> Manifest:
    """Read an artifact's manifest.

    Raises:
        ArtifactError: there is none (the artifact was never finished), or it cannot be read.
    """
    path = artifact / MANIFEST_NAME
    try:
        return Manifest.model_validate(json.loads(path.read_text()))
    except FileNotFoundError:
        raise ArtifactError(
            f"{artifact} is no finished artifact: it has no {MANIFEST_NAME}; run `make quantize`"
        ) from None
    except (json.JSONDecodeError, ValidationError) as error:
        raise ArtifactError(f"{path} is damaged ({error}); delete {artifact} and remake") from None


def verify_files(artifact: Path, manifest: Manifest) -> None:
    """Hold every file of the artifact against its size and SHA-256.

    Raises:
        ArtifactError: naming the first file that is missing, of another size, or altered.
    """
    remedy = f"delete {artifact} and run `make quantize`"
    for entry in manifest.files:
        path = artifact / entry.path
        if not path.is_file():
            raise ArtifactError(f"{path} is missing; {remedy}")
        size = path.stat().st_size
        if size != entry.size_bytes:
            raise ArtifactError(
                f"{path} has {size} bytes, its manifest says {entry.size_bytes}; {remedy}"
            )
    found = sha256_of_files([artifact / entry.path for entry in manifest.files])
    for entry, digest in zip(manifest.files, found, strict=True):
        if digest != entry.sha256:
            path = artifact / entry.path
            raise ArtifactError(f"{path} was altered after it was made (SHA-256 differs); {remedy}")
