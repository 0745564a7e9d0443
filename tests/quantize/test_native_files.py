"""A published checkpoint becomes an artifact of links, proven by its tensors, and stays proven.

covers: quantize/published_check.py, quantize/model_source.py
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quantize.artifact.manifest import ArtifactError, read_manifest
from quantize.artifact_check import check_artifact
from quantize.calibration.calibration_set import calibration_plan
from quantize.make import make_artifacts
from quantize.method import RecipeError
from quantize.order import Order
from quantize.published_model import find_model
from quantize.sizing.dry_run import dry_run
from quantize.source.source_error import SourceModelError
from tests.quantize.published import announce, as_int8, gpt_oss
from tests.quantize.tiny_model import read_tensors, rewrite_weights

INT8 = "native-compressed-int8"
Tensors = dict[str, tuple[str, np.ndarray]]


@pytest.fixture
def int8(model: Path, tmp_path: Path) -> Path:
    return as_int8(model, tmp_path / "int8")


def ordered(folder: Path, artifacts: Path, *recipes: str, baseline: Path | None = None) -> Order:
    return Order(
        model=find_model(str(folder), None if baseline is None else str(baseline)),
        recipe_names=recipes,
        calibration=calibration_plan("bundled", samples=1, sequence_length=32),
        artifacts=artifacts,
        threads=1,
    )


def made(order: Order) -> Path:
    return make_artifacts(order, lambda _: None)[0]


def test_the_weights_are_links_and_the_manifest_tells_what_they_are(
    int8: Path, tmp_path: Path
) -> None:
    artifact = made(ordered(int8, tmp_path / "artifacts", INT8))
    weights = artifact / "model.safetensors"
    assert weights.is_symlink()
    assert weights.resolve() == (int8 / "model.safetensors").resolve()
    manifest = check_artifact(artifact)
    assert manifest.recipe == INT8
    assert 8 < manifest.bits_per_weight < 8.3
    assert manifest.notes[-1] == f"served as it was published: {int8}"
    config = json.loads((artifact / "config.json").read_text())
    assert config["quantization_config"]["format"] == "int-quantized"


def test_a_file_that_changes_afterwards_is_refused_before_it_is_served(
    int8: Path, tmp_path: Path
) -> None:
    artifact = made(ordered(int8, tmp_path / "artifacts", INT8))
    weights = int8 / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ArtifactError, match="was altered after it was made"):
        check_artifact(artifact)


def test_beside_its_baseline_it_lies_among_the_baselines_artifacts(
    int8: Path, model: Path, tmp_path: Path
) -> None:
    order = ordered(int8, tmp_path / "artifacts", "bf16", INT8, baseline=model)
    wide, artifact = make_artifacts(order, lambda _: None)
    assert wide.parent == artifact.parent
    assert read_manifest(artifact).recipe == INT8
    alone = replace(order, model=find_model(str(model)), recipe_names=("bf16",))
    lines: list[str] = []
    assert make_artifacts(alone, lines.append) == [wide]
    assert "reused" in lines[-1]


def test_recipes_that_need_wide_weights_are_refused_by_name(int8: Path, tmp_path: Path) -> None:
    order = ordered(int8, tmp_path / "artifacts", "bf16", "gguf-bf16", INT8)
    with pytest.raises(SourceModelError, match=r"bf16, gguf-bf16: the model is quantized already"):
        make_artifacts(order, lambda _: None)
    assert not (tmp_path / "artifacts" / "native").exists()


def test_another_format_than_the_models_is_refused_with_the_right_one(
    int8: Path, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceModelError, match=r"published as compressed-int8: take native-comp"):
        made(ordered(int8, tmp_path / "artifacts", "native-awq-int4"))
    with pytest.raises(SourceModelError, match=r"has 16-bit weights; native-awq-int4 serves a"):
        made(ordered(model, tmp_path / "artifacts", "native-awq-int4"))


def test_a_checkpoint_that_only_says_so_is_refused(model: Path, tmp_path: Path) -> None:
    announce(
        model,
        json.loads((as_int8(model, tmp_path / "x") / "config.json").read_text())[
            "quantization_config"
        ],
    )
    with pytest.raises(ArtifactError, match="all of its 14 linear layers are 16 bits wide"):
        made(ordered(model, tmp_path / "artifacts", INT8))


def test_a_layer_in_another_format_is_named(int8: Path, tmp_path: Path) -> None:
    name = "model.layers.1.mlp.up_proj.weight"

    def without_scale(tensors: Tensors) -> Tensors:
        return {key: value for key, value in tensors.items() if key != f"{name}_scale"}

    rewrite_weights(int8, without_scale)
    with pytest.raises(ArtifactError, match=r"1 of 14 linear layers .*up_proj as I8"):
        made(ordered(int8, tmp_path / "artifacts", INT8))


def test_a_layer_that_is_missing_is_named(int8: Path, tmp_path: Path) -> None:
    name = "model.layers.1.mlp.up_proj"
    rewrite_weights(int8, lambda it: {key: it[key] for key in it if not key.startswith(name)})
    with pytest.raises(RecipeError, match=f"lacks {name}, which its config.json asks for"):
        made(ordered(int8, tmp_path / "artifacts", INT8))


def test_a_layer_that_its_publisher_left_alone_is_taken(
    int8: Path, model: Path, tmp_path: Path
) -> None:
    name = "model.layers.0.mlp.down_proj.weight"
    wide = read_tensors(model / "model.safetensors")[name]

    def left_alone(tensors: Tensors) -> Tensors:
        return {key: it for key, it in tensors.items() if key != f"{name}_scale"} | {name: wide}

    rewrite_weights(int8, left_alone)
    manifest = check_artifact(made(ordered(int8, tmp_path / "artifacts", INT8)))
    assert manifest.bits_per_weight > 8.5


def test_gpt_oss_is_linked_with_the_tensors_of_its_experts(model: Path, tmp_path: Path) -> None:
    folder = gpt_oss(tmp_path / "oss", model)
    manifest = check_artifact(made(ordered(folder, tmp_path / "a", "native-gpt-oss-mxfp4")))
    assert manifest.tensor_types["U8"] == 8


def test_a_dry_run_tells_that_nothing_but_words_is_written(int8: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    dry_run(ordered(int8, tmp_path / "artifacts", INT8), lines.append)
    assert INT8 in lines[0]
    assert "0.00 GB needed" in lines[-1]
    assert not (tmp_path / "artifacts").exists()
