"""The importance matrix of a model and a calibration set: made once, read by every recipe.

It lies beside the artifacts, in ``imatrix-<hash>/imatrix.gguf``, and can be given to llama.cpp's
own ``llama-quantize --imatrix``. ``imatrix.json`` is written last and tells its hash.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.manifest import sha256_of_file
from quantize.by_llamacpp.llama_converter import GGUF_PY
from quantize.calibration.calibration_set import plan_sha256, plan_to_json
from quantize.jobs.tool_process import environment_python, installed_version, run_tool
from quantize.jobs.workbench import locked, making
from quantize.method import Job
from quantize.root import ROOT

IMATRIX_NAME = "imatrix.gguf"
RECORD_NAME = "imatrix.json"

# Raised whenever a change of our code changes the sums.
_VERSION = 1
_HASH_DIGITS = 12
_COLLECTED = re.compile(r"^collected (\d+)/(\d+)$", re.MULTILINE)


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
                record = _make(job, gguf, bench.output, bench.scratch, lock_fd)
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


def _make(job: Job, gguf: Path, output: Path, scratch: Path, lock_fd: int) -> _Record:
    request, outcome = scratch.resolve() / "request.json", scratch.resolve() / "outcome.json"
    imatrix = output.resolve() / IMATRIX_NAME
    content = {
        "model": str(job.model.folder.resolve()),
        "architecture": read_gguf(gguf).metadata["general.architecture"],
        "calibration": plan_to_json(job.calibration),
        "threads": job.threads,
        "output": str(imatrix),
        "outcome": str(outcome),
    }
    request.write_text(json.dumps(content))
    usage = run_tool(
        [
            environment_python("quantize"),
            "-m",
            "quantize.by_llamacpp.in_quantize.imatrix_collect",
            request,
        ],
        log=job.log,
        threads=job.threads,
        env={"PYTHONPATH": f"{ROOT}{os.pathsep}{GGUF_PY}"},
        held_fds=[job.lock_fd, lock_fd],
        on_progress=lambda tail, _: job.progress(_progress_words(tail)),
    )
    record = _Record(
        sha256=sha256_of_file(imatrix),
        calibration_sha256=json.loads(outcome.read_text())["calibration_sha256"],
        peak_memory_bytes=usage.peak_memory_bytes,
    )
    (output / RECORD_NAME).write_text(record.model_dump_json(indent=2) + "\n")
    return record


def _progress_words(tail: str) -> str:
    found = _COLLECTED.findall(tail)
    return "importance matrix" + (f" {found[-1][0]}/{found[-1][1]}" if found else "")
