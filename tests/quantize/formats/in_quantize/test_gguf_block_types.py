"""Holds the block sizes of the GGUF reader against gguf-py's own table.

covers: quantize/artifact/gguf_header.py, quantize/formats/gguf_types.py
"""

import sys

from quantize.formats.gguf_types import BLOCK_TYPES
from quantize.jobs.llama_converter import GGUF_PY

sys.path.insert(0, str(GGUF_PY))

import gguf

# Formats of intermediate results, never stored in a file.
INTERNAL = {"Q8_1", "Q8_K"}


def test_every_storage_type_has_the_size_that_gguf_py_gives_it() -> None:
    theirs = {
        int(kind): (kind.name, values, size_bytes)
        for kind, (values, size_bytes) in gguf.GGML_QUANT_SIZES.items()
        if kind.name not in INTERNAL
    }
    ours = {
        number: (block.name, block.values, block.size_bytes)
        for number, block in BLOCK_TYPES.items()
    }
    assert ours == theirs
