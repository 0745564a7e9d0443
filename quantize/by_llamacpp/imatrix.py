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
from quantize.by_llamacpp.llamacpp_jobs import IMATRIX_COLLECT, ImatrixRequest
from quantize.calibration.calibration_set import plan_sha256
from quantize.jobs.environment import installed_version
from quantize.jobs.llama_converter import GGUF_PY
from quantize.jobs.whole_file import write_whole
from quantize.jobs.workbench import locked, making
from quantize.method import Job
from quantize.root import ROOT
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import parts_of

IMATRIX_NAME = "imatrix.gguf"
RECORD_NAME = "imatrix.json"

_LIBRARIES = ("torch", "transformers")
_HASH_DIGITS = 12


class _Record(BaseModel):
    """The content of ``imatrix.json``; ``calibration_sha256`` is the hash of the token ids.

    ``made_from`` is empty in a record of the time when code was numbered by hand.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    calibration_sha256: str
    peak_memory_bytes: int
    made_from: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Imatrix:
    """A finished importance matrix, and the peak memory of making it (now or then)."""

    path: Path
    calibration_sha256: str
    peak_memory_bytes: int


def find_or_make_imatrix(job: Job, gguf: Path) -> Imatrix:
    """The importance matrix of the job's model and calibration set; ``gguf`` is the BF16 file.

    Blocks while another process makes it. One that was altered or cut, or summed by other code, is
    made anew.

    Raises:
        ToolError: the collector failed, or its environment is missing.
        OSError: it cannot be written; nothing unfinished is left.
    """
    made_from = _made_from(job)
    directory = job.output.parent / _directory_name(job)
    with locked(directory, lambda: job.progress("waiting for the importance matrix")) as lock_fd:
        record = _finished(directory, made_from)
        if record is None:
            with making(directory) as bench:
                record = _make(job, gguf, bench.output, made_from, lock_fd)
    return Imatrix(
        path=directory / IMATRIX_NAME,
        calibration_sha256=record.calibration_sha256,
        peak_memory_bytes=record.peak_memory_bytes,
    )


def _made_from(job: Job) -> dict[str, str]:
    """What decides the sums."""
    return parts_of(
        model=job.model.sha256,
        calibration=plan_sha256(job.calibration),
        libraries=" ".join(f"{name} {installed_version('quantize', name)}" for name in _LIBRARIES),
        code=code_sha256(IMATRIX_COLLECT.module),
    )


def _directory_name(job: Job) -> str:
    """Named by all but the code, so that changed code replaces a matrix and leaves none behind.

    The 1 was once the number of our code: matrices of that time are found under its name.
    """
    libraries = [installed_version("quantize", name) for name in _LIBRARIES]
    parts = [1, job.model.sha256, plan_sha256(job.calibration), *libraries]
    return f"imatrix-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_HASH_DIGITS]}"


def _finished(directory: Path, made_from: dict[str, str]) -> _Record | None:
    try:
        record = _Record.model_validate_json((directory / RECORD_NAME).read_bytes())
        whole = sha256_of_file(directory / IMATRIX_NAME) == record.sha256
    except (OSError, ValidationError):
        return None
    if whole and not record.made_from:
        # Taken over, as artifacts of that time are: quantize/adoption.py.
        record = _written(record.model_copy(update={"made_from": made_from}), directory)
    return record if whole and record.made_from == made_from else None


def _written(record: _Record, directory: Path) -> _Record:
    write_whole(directory / RECORD_NAME, record.model_dump_json(indent=2) + "\n")
    return record


def _make(job: Job, gguf: Path, output: Path, made_from: dict[str, str], lock_fd: int) -> _Record:
    imatrix = output.resolve() / IMATRIX_NAME
    request = ImatrixRequest(
        model=job.folder.resolve(),
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
        made_from=made_from,
    )
    return _written(record, output)
