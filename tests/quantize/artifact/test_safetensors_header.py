import json
from pathlib import Path

import numpy as np
import pytest

from quantize.artifact.safetensors_header import read_safetensors, weight_files
from quantize.artifact.stored_tensor import WeightFileError
from tests.quantize.tiny_model import write_safetensors


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    write_safetensors(
        path,
        {
            "a": ("F32", np.arange(6, dtype="<f4").reshape(2, 3)),
            "b": ("I32", np.arange(4, dtype="<i4")),
        },
    )
    return path


def test_names_types_shapes_and_places_are_read(weights: Path) -> None:
    first, second = read_safetensors(weights)
    assert (first.name, first.kind, first.shape, first.elements) == ("a", "F32", (2, 3), 6)
    assert (second.name, second.kind, second.size_bytes) == ("b", "I32", 16)
    raw = weights.read_bytes()[second.offset : second.offset + second.size_bytes]
    assert np.frombuffer(raw, "<i4").tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kept", [4, 40, -1])
def test_a_truncated_file_is_refused_by_name(weights: Path, kept: int) -> None:
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(WeightFileError, match=r"model\.safetensors.*truncated"):
        read_safetensors(weights)


def test_a_longer_file_is_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes() + b"more")
    with pytest.raises(WeightFileError, match="longer than its header says"):
        read_safetensors(weights)


def test_a_size_that_contradicts_its_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = json.dumps({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
    with pytest.raises(WeightFileError, match="damaged safetensors header"):
        read_safetensors(path)


def test_only_the_files_of_the_index_belong_to_the_model(weights: Path) -> None:
    (weights.parent / "other.safetensors").write_bytes(weights.read_bytes())
    index = weights.parent / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "other.safetensors"}}))
    assert [path.name for path in weight_files(weights.parent)] == ["other.safetensors"]


def test_a_file_that_the_index_names_must_be_there(weights: Path) -> None:
    index = weights.parent / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    with pytest.raises(WeightFileError, match=r"has no gone\.safetensors"):
        weight_files(weights.parent)
