"""Importance matrices: their file, and the GGUF files made with them.

covers: quantize/by_llamacpp/in_llamacpp/imatrix_file.py,
quantize/by_llamacpp/in_quantize/imatrix_collect.py
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from transformers import LlamaTokenizer

from quantize.artifact.gguf_header import linear_gguf_tensors, read_gguf
from quantize.artifact.manifest import sha256_of_file
from quantize.artifact.stored_tensor import StoredTensor, WeightFileError
from quantize.artifact_check import check_artifact
from quantize.by_llamacpp.imatrix import IMATRIX_NAME, RECORD_NAME, _finished
from quantize.by_llamacpp.in_llamacpp.imatrix_file import read_imatrix, require_all
from quantize.jobs.environment import environment_python, tool_variables
from quantize.jobs.tool import run_tool
from quantize.recipes.catalogue import RECIPES
from quantize.root import ROOT
from quantize.source.source_model import REFERENCE_WEIGHTS
from tests.quantize.artifact.small_gguf import write_gguf
from tests.quantize.made import make
from tests.quantize.tiny_model import Family, make_tiny_model

WITH_IMATRIX = [name for name, recipe in RECIPES.items() if recipe.parameters.get("imatrix")]


def weight(name: str, *shape: int) -> StoredTensor:
    return StoredTensor(name=name, kind="BF16", shape=shape, offset=0, size_bytes=0)


def nats_per_token(texts: Path, models: list[Path], log: Path) -> list[float]:
    """What the server's own backend says of texts, model by model."""
    python = environment_python("llamacpp")
    run_tool(
        [python, "-m", "tests.quantize.by_llamacpp.in_llamacpp.gguf_nll", texts, *models],
        log=log,
        variables=tool_variables(2),
    )
    figures: list[float] = json.loads(log.read_text().splitlines()[-1])
    return figures


def test_another_gguf_is_no_importance_matrix(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(path, {"blk.0.attn_q.weight": ("F32", (4, 8))})
    with pytest.raises(WeightFileError, match=r"model\.gguf is no importance matrix"):
        read_imatrix(path)


def test_sums_are_divided_by_counts_and_an_unused_expert_weighs_all_alike(tmp_path: Path) -> None:
    path = tmp_path / "imatrix.gguf"
    tensors = {"w.in_sum2": ("F32", (2, 3)), "w.counts": ("F32", (2, 1))}
    write_gguf(path, tensors, kind="imatrix")
    offsets = {tensor.name: tensor.offset for tensor in read_gguf(path).tensors}
    with path.open("r+b") as stream:
        for name, values in (("w.in_sum2", [2, 4, 6, 0, 0, 0]), ("w.counts", [2, 0])):
            stream.seek(offsets[name])
            stream.write(np.array(values, "<f4").tobytes())
    assert read_imatrix(path)["w"].tolist() == [1, 2, 3, 1, 1, 1]


def test_sums_without_counts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "imatrix.gguf"
    write_gguf(path, {"w.in_sum2": ("F32", (2, 3))}, kind="imatrix")
    with pytest.raises(WeightFileError, match="holds no counts for w"):
        read_imatrix(path)


def test_a_weight_without_importances_of_its_size_is_named(tmp_path: Path) -> None:
    held = {"dense": np.ones(8, "<f4"), "experts": np.ones(3 * 8, "<f4")}
    require_all(held, [weight("dense", 4, 8), weight("experts", 3, 4, 8)], tmp_path)
    with pytest.raises(WeightFileError, match="has no importances for other, which has 8"):
        require_all(held, [weight("other", 4, 8)], tmp_path)
    with pytest.raises(WeightFileError, match="has 24 importances for experts, which has 16"):
        require_all(held, [weight("experts", 2, 4, 8)], tmp_path)


@pytest.fixture(scope="module")
def artifacts(
    tmp_path_factory: pytest.TempPathFactory, tiny: Path, calibration_text: Path
) -> dict[str, Path]:
    """Everything that is made with an importance matrix, of the tiny model."""
    made, _ = make(tiny, tmp_path_factory.mktemp("artifacts"), calibration_text, *WITH_IMATRIX)
    return {artifact.name: artifact for artifact in made}


def the_matrix(artifacts: dict[str, Path]) -> Path:
    """The one importance matrix beside the artifacts."""
    (matrix,) = artifacts["gguf-bf16"].parent.glob(f"imatrix-*/{IMATRIX_NAME}")
    return matrix


@pytest.mark.engine
def test_every_type_is_made_with_one_matrix(
    artifacts: dict[str, Path], calibration_text: Path
) -> None:
    source = read_gguf(artifacts["gguf-bf16"] / "model.gguf")
    importances = read_imatrix(the_matrix(artifacts))
    assert importances.keys() == {tensor.name for tensor in linear_gguf_tensors(source.tensors)}
    assert all((values > 0).all() for values in importances.values())
    manifests = [check_artifact(artifacts[name]) for name in WITH_IMATRIX]
    assert len({manifest.calibration_sha256 for manifest in manifests}) == 1
    bits = {item.recipe: item.bits_per_weight for item in manifests}
    assert bits["gguf-iq1_m"] < bits["gguf-iq2_xxs"] < bits["gguf-iq2_xs"] < bits["gguf-iq2_m"]
    for name in WITH_IMATRIX:
        notes = read_gguf(artifacts[name] / "model.gguf").metadata
        assert notes["quantize.imatrix.file"] == IMATRIX_NAME
        assert notes["quantize.imatrix.dataset"] == calibration_text.name
        assert notes["quantize.imatrix.entries_count"] == len(importances)


@pytest.mark.engine
def test_the_server_reads_every_type(
    tmp_path: Path, artifacts: dict[str, Path], calibration_text: Path
) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(calibration_text.read_text().splitlines()[:2]))
    found = nats_per_token(few, list(artifacts.values()), tmp_path / "log")
    assert len(found) == len(WITH_IMATRIX) + 1
    assert np.isfinite(found).all()


def test_a_matrix_of_the_numbered_code_is_taken_over_once_and_then_held_to_its_code(
    tmp_path: Path,
) -> None:
    (tmp_path / IMATRIX_NAME).write_bytes(b"sums")
    record = {"sha256": sha256_of_file(tmp_path / IMATRIX_NAME), "calibration_sha256": "c"}
    (tmp_path / RECORD_NAME).write_text(json.dumps(record | {"peak_memory_bytes": 1}))
    made_from = {"model": "m", "code": "c0de"}
    assert _finished(tmp_path, made_from) is not None
    assert json.loads((tmp_path / RECORD_NAME).read_text())["made_from"] == made_from
    assert _finished(tmp_path, made_from) is not None
    assert _finished(tmp_path, made_from | {"code": "n3w"}) is None


@pytest.mark.engine
def test_a_damaged_matrix_is_made_anew(
    artifacts: dict[str, Path], tiny: Path, calibration_text: Path
) -> None:
    matrix = the_matrix(artifacts)
    whole = matrix.read_bytes()
    matrix.write_bytes(whole[:-100])
    shutil.rmtree(artifacts["gguf-q2_k-imat"])
    model_directory = artifacts["gguf-bf16"].parent
    make(tiny, model_directory.parent, calibration_text, "gguf-q2_k-imat")
    assert matrix.read_bytes() == whole


@pytest.mark.engine
@pytest.mark.parametrize("family", ["qwen3", "mixtral"])
def test_other_architectures_find_all_their_weights_in_the_matrix(
    tmp_path: Path, calibration_text: Path, family: Family
) -> None:
    """Not Qwen3's mixtures: llama.cpp's converter takes those with their own vocabulary alone."""
    model = make_tiny_model(tmp_path / "model", family=family)
    # Without it transformers reads a Mixtral's text otherwise than SentencePiece does.
    whole = LlamaTokenizer.from_pretrained(model).backend_tokenizer
    whole.save(str(model / "tokenizer.json"))
    made, _ = make(model, tmp_path, calibration_text, "gguf-q4_k_m", "gguf-iq2_xxs")
    for artifact in made:
        check_artifact(artifact)


@pytest.mark.engine
def test_at_two_bits_the_matrix_lowers_the_loss_of_a_trained_model(tmp_path: Path) -> None:
    texts = ROOT / "eval" / "tasks" / "data" / "assay_text.jsonl"
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(texts.read_text().splitlines()[:8]))
    calibration = REFERENCE_WEIGHTS.parent / "calibration.jsonl"
    made, _ = make(
        REFERENCE_WEIGHTS, tmp_path, calibration, "gguf-q8_0", "gguf-q2_k", "gguf-q2_k-imat"
    )
    best, plain, weighted = nats_per_token(few, made[-3:], tmp_path / "log")
    assert best < weighted < plain
