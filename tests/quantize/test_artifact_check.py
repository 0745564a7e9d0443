import json
import shutil
from pathlib import Path

import pytest

from quantize.artifact.manifest import MANIFEST_NAME, ArtifactError, FileEntry, sha256_of_file
from quantize.artifact_check import (
    check_announced,
    check_artifact,
    check_measures,
    measure_weights,
)
from quantize.recipes.catalogue import find_recipe
from tests.quantize.artifact.small_gguf import write_gguf
from tests.quantize.made import make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path, calibration_text: Path) -> Path:
    (artifact,), _ = make(tiny, tmp_path_factory.mktemp("artifacts"), calibration_text, "bf16")
    return artifact


@pytest.fixture
def artifact(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "artifact"))


def claim(artifact: Path, **changes: object) -> None:
    """Write into the manifest what is not so, with file hashes that are right."""
    path = artifact / MANIFEST_NAME
    files = [
        FileEntry(path=item.name, size_bytes=item.stat().st_size, sha256=sha256_of_file(item))
        for item in sorted(artifact.iterdir())
        if item != path
    ]
    content = json.loads(path.read_text()) | {"files": [item.model_dump() for item in files]}
    path.write_text(json.dumps(content | changes))


def test_a_sound_artifact_passes_and_its_figures_are_measured(finished: Path) -> None:
    manifest = check_artifact(finished)
    assert manifest.bits_per_weight == 16
    assert manifest.quantized_parameters == 2 * (256 * 256 * 3 + 3 * 256 * 512)
    assert manifest.quantized_weight_bytes == 2 * manifest.quantized_parameters
    assert manifest.weight_bytes == 2 * manifest.parameter_count
    assert manifest.tensor_types == {"BF16": 21}


def test_a_flipped_byte_is_found(artifact: Path) -> None:
    weights = artifact / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1000] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(ArtifactError, match=r"model\.safetensors was altered"):
        check_artifact(artifact)


def test_an_artifact_without_manifest_is_unfinished(artifact: Path) -> None:
    (artifact / MANIFEST_NAME).unlink()
    with pytest.raises(ArtifactError, match=r"no finished artifact.*make quantize"):
        check_artifact(artifact)


def test_a_missing_file_is_named(artifact: Path) -> None:
    (artifact / "tokenizer.model").unlink()
    with pytest.raises(ArtifactError, match=r"tokenizer\.model is missing"):
        check_artifact(artifact)


@pytest.mark.parametrize("recipe", ["gptq-int4-g128", "awq-int4-g128"])
def test_bfloat16_tensors_under_an_int4_manifest_are_refused(artifact: Path, recipe: str) -> None:
    claim(artifact, recipe=recipe)
    with pytest.raises(
        ArtifactError, match=rf"is no {recipe}: 14 of 14 linear layers.*q_proj as BF16"
    ):
        check_artifact(artifact)


def test_an_unknown_recipe_is_refused(artifact: Path) -> None:
    claim(artifact, recipe="int3")
    with pytest.raises(ArtifactError, match="unknown recipe 'int3'"):
        check_artifact(artifact)


def test_figures_that_the_files_do_not_bear_out_are_refused(artifact: Path) -> None:
    claim(artifact, weight_bytes=17)
    with pytest.raises(ArtifactError, match="weight_bytes = 17, the files hold"):
        check_artifact(artifact)


def test_truncated_weights_with_a_matching_manifest_are_refused(artifact: Path) -> None:
    weights = artifact / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    claim(artifact)
    with pytest.raises(ArtifactError, match="truncated"):
        check_artifact(artifact)


def check(folder: Path, recipe: str) -> float:
    found = find_recipe(recipe)
    measures = measure_weights(folder, found)
    check_measures(folder, found, measures)
    return measures.bits_per_weight


def test_a_gguf_of_another_type_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", {"blk.0.attn_q.weight": ("BF16", (256, 256))})
    assert check(tmp_path, "gguf-bf16") == 16
    with pytest.raises(ArtifactError, match=r"is no gguf-q4_k_m.*attn_q as BF16"):
        check(tmp_path, "gguf-q4_k_m")


def test_wide_layers_under_a_low_bit_name_are_refused(tmp_path: Path) -> None:
    """Q8_0 may stand in a mix for what experts share, but not for every layer."""
    write_gguf(tmp_path / "model.gguf", {"blk.0.attn_q.weight": ("Q8_0", (256, 256))})
    with pytest.raises(ArtifactError, match=r"is no gguf-iq2_m: 8\.50 bits per weight"):
        check(tmp_path, "gguf-iq2_m")


def test_a_fallback_type_is_taken_only_where_no_super_block_divides_the_rows(
    tmp_path: Path,
) -> None:
    """llama.cpp falls back to types of 32 values where rows are no multiple of 256."""
    write_gguf(tmp_path / "model.gguf", {"blk.0.attn_q.weight": ("IQ4_NL", (256, 96))})
    check(tmp_path, "gguf-iq2_m")
    with pytest.raises(ArtifactError, match=r"is no gguf-q4_k_m.*attn_q as IQ4_NL"):
        check(tmp_path, "gguf-q4_k_m")
    write_gguf(tmp_path / "model.gguf", {"blk.0.attn_q.weight": ("IQ4_NL", (96, 256))})
    with pytest.raises(ArtifactError, match=r"is no gguf-iq2_m.*attn_q as IQ4_NL"):
        check(tmp_path, "gguf-iq2_m")


@pytest.mark.parametrize("algorithm", ["MIXED_PRECISION", "NVFP4", "FP8"])
def test_a_mix_may_have_come_out_as_one_of_its_formats_alone(
    tmp_path: Path, algorithm: str
) -> None:
    announce(tmp_path, quant_method="modelopt", quant_algo=algorithm)
    check_announced(tmp_path, find_recipe("auto-6"))


def test_a_mix_of_other_formats_is_refused_by_what_it_should_announce(tmp_path: Path) -> None:
    announce(tmp_path, quant_method="modelopt", quant_algo="MXFP8")
    with pytest.raises(
        ArtifactError, match="quant_algo = MXFP8, but auto-6 has quant_algo = MIXED_PRECISION"
    ):
        check_announced(tmp_path, find_recipe("auto-6"))
    with pytest.raises(ArtifactError, match="quant_algo = MXFP8, but fp8 has quant_algo = FP8"):
        check_announced(tmp_path, find_recipe("fp8"))


def announce(folder: Path, **quantization: str) -> None:
    content = json.dumps({"quantization_config": quantization})
    (folder / "config.json").write_text(content)
