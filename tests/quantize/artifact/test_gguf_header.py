"""A GGUF file's header is read without its tensors, and what is not one is refused.

covers: quantize/artifact/stored_tensor.py, quantize/artifact/weight_measures.py
"""

from pathlib import Path

import pytest

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.stored_tensor import WeightFileError
from quantize.artifact.weight_measures import measure_gguf
from tests.quantize.artifact.small_gguf import write_gguf

TENSORS = {
    "token_embd.weight": ("Q6_K", (4, 256)),
    "rope_freqs.weight": ("F32", (32,)),
    "blk.0.attn_norm.weight": ("F32", (256,)),
    "blk.0.attn_q.weight": ("Q4_K", (128, 256)),
    "blk.0.ffn_down.weight": ("Q6_K", (256, 512)),
}


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    write_gguf(path, TENSORS)
    return path


def test_metadata_and_tensors_are_read(gguf: Path) -> None:
    held = read_gguf(gguf)
    assert held.metadata["general.architecture"] == "llama"
    assert held.metadata["tokens"] == ["a", "é"]
    query = next(tensor for tensor in held.tensors if tensor.name == "blk.0.attn_q.weight")
    assert (query.kind, query.shape, query.size_bytes) == ("Q4_K", (128, 256), 128 * 144)


def test_only_the_decoders_matrices_count_as_linear_layers(gguf: Path) -> None:
    measures = measure_gguf(gguf.parent)
    assert [layer.name for layer in measures.linear_layers] == [
        "blk.0.attn_q",
        "blk.0.ffn_down",
    ]
    assert measures.linear_bytes == 128 * 144 + 512 * 210
    assert measures.parameter_count == 4 * 256 + 256 + 128 * 256 + 256 * 512
    assert measures.tensor_types == {"F32": 2, "Q4_K": 1, "Q6_K": 2}


@pytest.mark.parametrize("kept", [10, 60, -40])
def test_a_truncated_file_is_refused_by_name(gguf: Path, kept: int) -> None:
    gguf.write_bytes(gguf.read_bytes()[:kept])
    with pytest.raises(WeightFileError, match=r"model\.gguf.*truncated"):
        read_gguf(gguf)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"not a model")
    with pytest.raises(WeightFileError, match="is no GGUF file"):
        read_gguf(tmp_path / "model.gguf")
