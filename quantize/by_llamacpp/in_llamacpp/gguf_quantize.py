"""Quantize a GGUF file with llama.cpp; in the ``llamacpp`` environment, in its own process.

``python -m quantize.by_llamacpp.in_llamacpp.gguf_quantize SOURCE TARGET FILE_TYPE THREADS
[IMATRIX]``
"""

import ctypes
import sys
from pathlib import Path
from typing import Any

import llama_cpp

from quantize.artifact.gguf_header import MetadataValue, read_gguf
from quantize.artifact.stored_tensor import WeightFileError
from quantize.artifact.weight_measures import linear_gguf_tensors
from quantize.by_llamacpp.in_llamacpp.imatrix_file import Importances, read_imatrix, require_all

# llama_model_kv_override_type of llama.h.
_INTEGER, _STRING = 0, 3
_MAX_NAME_BYTES = 127


def main() -> None:
    """Write TARGET; exits with 2 where llama.cpp refuses."""
    source, target, file_type, threads, *imatrix = sys.argv[1:]
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{file_type}")
    parameters.nthread = int(threads)
    importances: Importances = {}
    if imatrix:
        try:
            importances = _importances(Path(imatrix[0]), Path(source))
        except WeightFileError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
        parameters.imatrix = _as_structs(importances)
        parameters.kv_overrides = _notes(Path(imatrix[0]), importances)
    code = llama_cpp.llama_model_quantize(
        source.encode(), target.encode(), ctypes.byref(parameters)
    )
    if code:
        print(f"llama.cpp refused to quantize to {file_type} (code {code})", file=sys.stderr)
        sys.exit(2)


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
    main()
