"""A GGUF file as the model that its user names: made a folder once, and kept beside the artifacts.

transformers decodes the weights to 16 bits and writes the tokenizer that the file holds. What the
file had lost before is lost: every recipe then quantizes what was quantized already, which is said.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.manifest import sha256_of_file
from quantize.artifact.stored_tensor import WeightFileError
from quantize.jobs.environment import tool_variables
from quantize.jobs.failure import RefusedError
from quantize.jobs.job_module import JobModule, Progress
from quantize.jobs.llama_converter import GGUF_PY
from quantize.jobs.workbench import locked, making
from quantize.jobs.worker import run_job
from quantize.root import ROOT
from quantize.source.source_error import SourceModelError
from quantize.validity.code_hash import code_sha256

FOLDERS = ROOT / "artifacts" / "from-gguf"
# Written last: which file the folder was made of, and the types that its weights had.
NOTE_NAME = "gguf.json"

_HASH_DIGITS = 12
_WHOLE = frozenset({"F32", "F16", "BF16"})


@dataclass(frozen=True, kw_only=True)
class GgufFolderRequest:
    """Write the model in ``file`` to ``folder``: 16-bit weights, configuration, tokenizer."""

    file: Path
    folder: Path


GGUF_FOLDER = JobModule(
    module="quantize.source.in_quantize.gguf_folder",
    environment="quantize",
    request=GgufFolderRequest,
    tells=(Progress,),
    reply=type(None),
)


def folder_of(file: Path, folders: Path = FOLDERS) -> Path:
    """The folder made of a GGUF file; blocks while it is made, seconds per gigabyte.

    Raises:
        SourceModelError: the file is damaged, or transformers does not know its kind.
        ToolError: the environment is missing, or the job failed.
        OSError: the folder cannot be written.
    """
    try:
        kinds = sorted({tensor.kind for tensor in read_gguf(file).tensors} - _WHOLE)
    except WeightFileError as error:
        raise SourceModelError(str(error)) from None
    folder = folders / f"{file.stem}-{sha256_of_file(file)[:_HASH_DIGITS]}"
    if _is_of_today(folder):
        return folder
    folders.mkdir(parents=True, exist_ok=True)
    with locked(folder, lambda: None):
        if not _is_of_today(folder):
            print(f"{file}: written out at 16 bits, once, to {folder}", file=sys.stderr, flush=True)
            with making(folder) as bench:
                _make(file, bench.output, bench.scratch / "log")
                content = {
                    "file": file.name,
                    "kinds": kinds,
                    "code": code_sha256(GGUF_FOLDER.module),
                }
                (bench.output / NOTE_NAME).write_text(json.dumps(content) + "\n")
    return folder


def _is_of_today(folder: Path) -> bool:
    """Whether a folder was made, whole, by today's code."""
    try:
        content = json.loads((folder / NOTE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(content.get("code") == code_sha256(GGUF_FOLDER.module))


def _make(file: Path, output: Path, log: Path) -> None:
    request = GgufFolderRequest(file=file.resolve(), folder=output.resolve())
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{GGUF_PY}"}
    threads = len(os.sched_getaffinity(0))
    try:
        run_job(GGUF_FOLDER, request, log=log, variables=tool_variables(threads, paths))
    except RefusedError as error:
        raise SourceModelError(
            f"{file} cannot be made a folder by transformers ({error.words}); give the original "
            "model's folder, or name it as the baseline of this file (--baseline)"
        ) from None
