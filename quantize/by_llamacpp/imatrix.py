"""The importance matrix of a model and a calibration set: made once, read by every recipe.

It lies beside the artifacts, in ``imatrix-<hash>/imatrix.gguf``, and can be given to llama.cpp's
own ``llama-quantize --imatrix``. ``imatrix.json`` is written last and tells its hash.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.manifest import sha256_of_file
from quantize.by_llamacpp.llama_converter import GGUF_PY
from quantize.by_llamacpp.llamacpp_jobs import IMATRIX_COLLECT, ImatrixRequest
from quantize.calibration.calibration_set import plan_sha256
from quantize.jobs.environment import installed_version
from quantize.jobs.workbench import locked, making
from quantize.method import Job
from quantize.root import ROOT

IMATRIX_NAME = "imatrix.gguf"
RECORD_NAME = "imatrix.json"

# Raised whenever a change of our code changes the sums.
_VERSION = 1
_HASH_DIGITS = 12


class _Record(BaseModel):
    """The content of ``imatrix.json``; ``calibration_sha256`` is the hash of the token ids."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    calibration_sha256: str
    peak_memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Imatrix:
    """A finished importance matrix, and the peak memory of making it (now or then)."""

    path: Path
    calibration_sha256: str
    peak_memory_bytes: int


def find_or_make_imatrix(job: Job, gguf: Path) -> Imatrix:
    """The importance matrix of the job's model and calibration set; ``gguf`` is the BF16 file.

    Blocks while another process makes it. One that was altered or cut is made anew.

    Raises:
        ToolError: the collector failed, or its environment is missing.
        OSError: it cannot be written; nothing unfinished is left.
    """
    directory = job.output.parent / f"imatrix-{_inputs_sha256(job)[:_HASH_DIGITS]}"
    with locked(directory, lambda: job.progress("waiting for the importance matrix")) as lock_fd:
        record = _finished(directory)
        if record is None:
            with making(directory) as bench:
                record = _make(job, gguf, bench.output, lock_fd)
    return Imatrix(
        path=directory / IMATRIX_NAME,
        calibration_sha256=record.calibration_sha256,
        peak_memory_bytes=record.peak_memory_bytes,
    )


def _inputs_sha256(job: Job) -> str:
    """Hash of what decides the sums; the model's own hash is in the directory above."""
    libraries = [installed_version("quantize", name) for name in ("torch", "transformers")]
    parts = [_VERSION, job.model.sha256, plan_sha256(job.calibration), *libraries]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _finished(directory: Path) -> _Record | None:
    try:
        record = _Record.model_validate_json((directory / RECORD_NAME).read_bytes())
        whole = sha256_of_file(directory / IMATRIX_NAME) == record.sha256
    except (OSError, ValidationError):
        return None
    return record if whole else None


def _make(job: Job, gguf: Path, output: Path, lock_fd: int) -> _Record:
    imatrix = output.resolve() / IMATRIX_NAME
    request = ImatrixRequest(
        model=job.model.folder.resolve(),
        architecture=str(read_gguf(gguf).metadata["general.architecture"]),
        calibration=job.calibration.resolved(),
        threads=job.threads,
        output=imatrix,
    )
    done = job.ask(
        IMATRIX_COLLECT,
        request,
        variables={"PYTHONPATH": f"{ROOT}{os.pathsep}{GGUF_PY}"},
        locks=[lock_fd],
    )
    assert done.reply.calibration_sha256 is not None
    record = _Record(
        sha256=sha256_of_file(imatrix),
        calibration_sha256=done.reply.calibration_sha256,
        peak_memory_bytes=done.usage.peak_memory_bytes,
    )
    (output / RECORD_NAME).write_text(record.model_dump_json(indent=2) + "\n")
    return record
