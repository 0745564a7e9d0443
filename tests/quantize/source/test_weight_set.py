"""One set of weights is found in a folder, or the folder is refused by the name of the file."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from quantize.artifact.safetensors_header import read_safetensors
from quantize.source.source_error import SourceModelError
from quantize.source.weight_set import choose_weights, index_of
from tests.quantize.tiny_model import make_tiny_model, read_tensors, write_safetensors

MERGED = "model.safetensors"
INDEX = "model.safetensors.index.json"


def in_parts(model: Path, parts: int = 2) -> list[str]:
    """Write the weights again in several files, with their index; returns the files' names."""
    tensors = read_tensors(model / MERGED)
    names, where = list(tensors), {}
    files = [f"model-{n + 1:05d}-of-{parts:05d}.safetensors" for n in range(parts)]
    for number, file in enumerate(files):
        chosen = names[number::parts]
        write_safetensors(model / file, {name: tensors[name] for name in chosen})
        where.update(dict.fromkeys(chosen, file))
    (model / INDEX).write_text(json.dumps({"weight_map": where}))
    return files


def chosen(model: Path) -> tuple[list[str], Sequence[str]]:
    found = choose_weights(model)
    return [path.name for path in found.files], found.ignored


def test_weights_in_parts_are_those_that_the_index_names(model: Path) -> None:
    files = in_parts(model)
    whole = {tensor.name for tensor in read_safetensors(model / MERGED)}
    (model / MERGED).unlink()
    found = choose_weights(model)
    assert [path.name for path in found.files] == files
    assert {tensor.name for tensor in found.tensors} == whole
    assert json.loads(index_of(found.files))["weight_map"].keys() == whole


def test_the_same_weights_twice_are_one_model(model: Path) -> None:
    files = in_parts(model)
    assert chosen(model) == ([MERGED], tuple(files))


def test_two_models_in_one_folder_are_refused(model: Path, tmp_path: Path) -> None:
    in_parts(model)
    other = make_tiny_model(tmp_path / "other", seed=1)
    shutil.copy(other / MERGED, model / MERGED)
    with pytest.raises(SourceModelError, match=r"holds two models: model\.safetensors and model-0"):
        choose_weights(model)
    (model / INDEX).unlink()
    with pytest.raises(SourceModelError, match=r"holds two models"):
        choose_weights(model)


def test_an_index_of_parts_that_are_gone_is_stale(model: Path) -> None:
    files = in_parts(model)
    for name in files:
        (model / name).unlink()
    with pytest.raises(SourceModelError, match=r"index\.json is stale: it names model-00001-of"):
        choose_weights(model)
    (model / MERGED).unlink()
    with pytest.raises(SourceModelError, match=r"has no model-00001-of-00002.*index is stale, or"):
        choose_weights(model)


def test_an_index_that_names_another_place_is_stale(model: Path) -> None:
    files = in_parts(model)
    (model / MERGED).unlink()
    index = json.loads((model / INDEX).read_text())
    first = next(name for name, file in index["weight_map"].items() if file == files[0])
    index["weight_map"][first] = files[1]
    (model / INDEX).write_text(json.dumps(index))
    with pytest.raises(SourceModelError, match=rf"stale: it says that {files[1]} holds {first}"):
        choose_weights(model)


def test_a_tensor_in_two_parts_is_refused(model: Path) -> None:
    files = in_parts(model)
    tensors = read_tensors(model / files[0]) | read_tensors(model / files[1])
    write_safetensors(model / files[1], tensors)
    (model / MERGED).unlink()
    with pytest.raises(SourceModelError, match=rf"lies in {files[0]} and in {files[1]}"):
        choose_weights(model)


def test_what_is_plainly_not_the_model_is_ignored_and_told(model: Path, tmp_path: Path) -> None:
    other = make_tiny_model(tmp_path / "other", seed=1)
    names = ["adapter_model.safetensors", "consolidated.safetensors", "model-old.safetensors"]
    for name in names:
        shutil.copy(other / MERGED, model / name)
    (model / "original").mkdir()
    assert chosen(model) == ([MERGED], (*names, "original/"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model-00001-of-00002.safetensors", r"parts of a model but no model\.safetensors\.index"),
        ("pytorch_model.bin", r"as safetensors are needed \(found pytorch_model\.bin\)"),
        ("notes.txt", r"has no model\.safetensors: weights as safetensors are needed$"),
    ],
)
def test_a_folder_without_a_set_of_weights_is_refused(model: Path, name: str, said: str) -> None:
    (model / MERGED).rename(model / name)
    with pytest.raises(SourceModelError, match=said):
        choose_weights(model)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"weight_map": {}}', '{"weight_map": {"a": "../x"}}']
)
def test_a_damaged_index_is_named(model: Path, content: str) -> None:
    (model / INDEX).write_text(content)
    with pytest.raises(SourceModelError, match=r"index\.json"):
        choose_weights(model)


def test_a_truncated_file_is_named(model: Path) -> None:
    weights = model / MERGED
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(SourceModelError, match=r"model\.safetensors is truncated"):
        choose_weights(model)
