"""Quantize a GGUF file with llama.cpp; in the ``llamacpp`` environment, in its own process."""

import ctypes
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp

from quantize.artifact.gguf_header import MetadataValue, linear_gguf_tensors, read_gguf
from quantize.artifact.stored_tensor import WeightFileError
from quantize.by_llamacpp.in_llamacpp.imatrix_file import Importances, read_imatrix, require_all
from quantize.by_llamacpp.llamacpp_jobs import GGUF_QUANTIZE, GgufQuantized, GgufQuantizeRequest
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve

# llama_model_kv_override_type of llama.h.
_INTEGER, _STRING = 0, 3
_MAX_NAME_BYTES = 127
# How llama.cpp begins what it says of a tensor; it has no other way to tell how far it is.
_TENSOR = re.compile(rb"\[\s*(\d+)/\s*(\d+)\]")
# How it says, in two messages, that a row is no multiple of a type's block.
_UNDIVIDED = re.compile(rb"warning: (\S+)\s+- ncols +\d+ not divisible by")
_FALLBACK = re.compile(rb"-> falling back to\s+(\S+)")


def carry_out(request: GgufQuantizeRequest, tell: Callable[[Progress], None]) -> GgufQuantized:
    """Write the request's target; returns what was stored as another type than the mix has it.

    Raises:
        BadRequest: llama.cpp refuses, or the importance matrix is another model's.
    """
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{request.file_type}")
    parameters.nthread = request.threads
    importances: Importances = {}
    if request.imatrix:
        try:
            importances = _importances(request.imatrix, request.source)
        except WeightFileError as error:
            raise BadRequest(str(error)) from None
        parameters.imatrix = _as_structs(importances)
        parameters.kv_overrides = _notes(request.imatrix, importances)
    fallbacks: dict[str, str] = {}
    log = _log_that_tells(tell, fallbacks)
    llama_cpp.llama_log_set(log, None)
    code = llama_cpp.llama_model_quantize(
        str(request.source).encode(), str(request.target).encode(), ctypes.byref(parameters)
    )
    llama_cpp.llama_log_set(llama_cpp.llama_log_callback(), None)
    if code:
        raise BadRequest(f"llama.cpp refused to quantize to {request.file_type} (code {code})")
    return GgufQuantized(fallbacks=fallbacks)


def _log_that_tells(tell: Callable[[Progress], None], fallbacks: dict[str, str]) -> Any:
    """What llama.cpp can hand its log to, as long as this lives."""
    narrow: list[str] = []

    def write(_level: int, text: bytes, _data: Any) -> None:
        if found := _TENSOR.match(text):
            tell(Progress("tensor", int(found[1]), int(found[2])))
        if found := _UNDIVIDED.search(text):
            narrow[:] = [found[1].decode()]
        if narrow and (found := _FALLBACK.search(text)):
            fallbacks[narrow.pop()] = found[1].decode().upper()
        sys.stderr.write(text.decode(errors="replace"))
        sys.stderr.flush()

    return llama_cpp.llama_log_callback(write)


def _importances(path: Path, source: Path) -> Importances:
    importances = read_imatrix(path)
    require_all(importances, linear_gguf_tensors(read_gguf(source).tensors), path)
    return importances


def _as_structs(importances: Importances) -> Any:
    """An array of ``llama_model_imatrix_data`` that ends with an entry without a name.

    It points into the arrays of ``importances``, which must outlive it.
    """
    entries = (llama_cpp.llama_model_imatrix_data * (len(importances) + 1))()
    for entry, (name, values) in zip(entries, importances.items(), strict=False):
        entry.name = name.encode()
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = values.size
    return entries


def _notes(path: Path, importances: Importances) -> Any:
    """What llama.cpp's own quantize tool writes into a file's metadata about its matrix."""
    metadata = read_gguf(path).metadata
    datasets = metadata["imatrix.datasets"]
    assert isinstance(datasets, list)
    notes: dict[str, MetadataValue] = {
        "file": path.name,
        "dataset": str(datasets[0]),
        "entries_count": len(importances),
        "chunks_count": metadata["imatrix.chunk_count"],
    }
    overrides = (llama_cpp.llama_model_kv_override * (len(notes) + 1))()
    for override, (key, value) in zip(overrides, notes.items(), strict=False):
        override.key = f"quantize.imatrix.{key}".encode()
        if isinstance(value, str):
            override.tag = _STRING
            override.value.val_str = value.encode()[:_MAX_NAME_BYTES]
        else:
            override.tag = _INTEGER
            override.value.val_i64 = value
    return overrides


if __name__ == "__main__":
    serve(GGUF_QUANTIZE, carry_out)
