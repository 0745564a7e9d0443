"""GGUF's blocks against llama.cpp's own quantizer and gguf-py, byte for byte.

covers: quantize/formats/in_quantize/gguf_search.py
"""

import ctypes
import sys

import numpy as np
import pytest
import torch

from quantize.formats.in_quantize.gguf_blocks import Q4_0, Q4_K, Q6_K, Q8_0, GgufBlocks
from quantize.jobs.llama_converter import GGUF_PY
from quantize.root import VENVS
from tests.quantize.formats.in_quantize.numbers import hard_rows

sys.path.insert(0, str(GGUF_PY))
import gguf

# The one that keeps the most of a Gaussian first.
ALL = [Q8_0, Q6_K, Q4_K, Q4_0]
LIBRARY = "lib/python*/site-packages/llama_cpp/lib/libggml-base.so"


def name(blocks: GgufBlocks) -> str:
    return blocks.name


def gguf_type(blocks: GgufBlocks) -> gguf.GGMLQuantizationType:
    return gguf.GGMLQuantizationType[blocks.name]


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return hard_rows()


@pytest.fixture(scope="module")
def ggml() -> ctypes.CDLL:
    (path,) = (VENVS / "llamacpp").glob(LIBRARY)
    library = ctypes.CDLL(str(path))
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        *(ctypes.c_int, pointer, pointer),
        *(number, number, number, pointer),
    ]
    return library


@pytest.mark.parametrize("blocks", ALL, ids=name)
def test_encoding_equals_llama_cpps_own_bytes(
    ggml: ctypes.CDLL, x: torch.Tensor, blocks: GgufBlocks
) -> None:
    rows, length = x.shape
    size = length // blocks.block.values * blocks.block.size_bytes
    theirs = torch.zeros(rows, size, dtype=torch.uint8)
    written = ggml.ggml_quantize_chunk(
        int(gguf_type(blocks)), x.data_ptr(), theirs.data_ptr(), 0, rows, length, None
    )
    assert written == theirs.numel()
    assert torch.equal(blocks.encode(x), theirs)


@pytest.mark.parametrize("blocks", [Q8_0, Q4_0], ids=name)
def test_encoding_equals_gguf_pys_bytes(x: torch.Tensor, blocks: GgufBlocks) -> None:
    rows = x[2:]  # gguf-py and llama.cpp differ on the sign of zeros' scale
    rows = rows[rows.abs().amax(-1) > 1e-37]  # below, gguf-py divides by zero
    theirs = gguf.quants.quantize(rows.numpy(), gguf_type(blocks))
    assert np.array_equal(blocks.encode(rows).numpy(), theirs)


@pytest.mark.parametrize("blocks", ALL, ids=name)
def test_decoding_equals_gguf_pys_numbers_on_random_bytes(blocks: GgufBlocks) -> None:
    generator = torch.Generator().manual_seed(7)
    count = 2**20 // blocks.block.values
    data = torch.randint(
        256, (count, blocks.block.size_bytes), dtype=torch.uint8, generator=generator
    )
    with np.errstate(invalid="ignore"):  # random half-precision scales may be infinite or NaN
        theirs = gguf.quants.dequantize(data.numpy(), gguf_type(blocks))
    ours = blocks.decode(data)
    assert torch.equal(ours.isnan(), torch.from_numpy(np.isnan(theirs)))
    assert torch.equal(ours.nan_to_num(0.0), torch.from_numpy(theirs).nan_to_num(0.0))


def test_more_bits_keep_more_of_a_gaussian() -> None:
    x = torch.randn(64, 1024, generator=torch.Generator().manual_seed(1))
    errors = [(blocks.round(x) - x).square().mean().item() for blocks in ALL]
    assert errors == sorted(errors)


def test_long_tensors_encode_as_their_parts_do(x: torch.Tensor) -> None:
    long = x[:600].repeat(3, 1).reshape(3, 600, 256)
    assert torch.equal(Q8_0.encode(long)[1], Q8_0.encode(x[:600]))


def test_what_the_format_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="Q4_K holds finite numbers only"):
        Q4_K.encode(torch.full((1, 256), torch.nan))
    with pytest.raises(ValueError, match=r"Q4_K: the last axis of shape \(2, 128\)"):
        Q4_K.encode(torch.ones(2, 128))
    with pytest.raises(ValueError, match="no multiple of 34"):
        Q8_0.decode(torch.zeros(1, 33, dtype=torch.uint8))
