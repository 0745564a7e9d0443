"""The Model Optimizer's recipes on small random models, all in one process of the tool.

covers: quantize/artifact/in_quantize/proof_logits.py,
quantize/by_modelopt/in_quantize/compressed_checkpoint.py,
quantize/by_modelopt/in_quantize/modelopt_auto.py,
quantize/by_modelopt/in_quantize/modelopt_backend.py,
quantize/by_modelopt/in_quantize/modelopt_ptq.py,
quantize/by_modelopt/in_quantize/modelopt_scales.py,
quantize/by_modelopt/in_quantize/modelopt_train.py, quantize/by_modelopt/modelopt_checkpoint.py,
quantize/by_modelopt/modelopt_job.py
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from quantize.artifact.safetensors_header import read_safetensors
from quantize.artifact.weight_measures import WeightMeasures
from quantize.artifact_check import check_measures, measure_weights
from quantize.jobs.failure import ToolError
from quantize.jobs.worker import Worker
from quantize.method import Outcome
from quantize.recipes.catalogue import find_recipe
from tests.quantize.method_run import run_method
from tests.quantize.tiny_model import EXPERTS, Family, make_tiny_model


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as held:
        yield held


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> dict[Family, Path]:
    folder = tmp_path_factory.mktemp("families")
    others: tuple[Family, ...] = ("qwen3", "qwen3-moe", "mixtral")
    made: dict[Family, Path] = {
        family: make_tiny_model(folder / family, family=family) for family in others
    }
    return {"llama": tiny, **made}


def carry_out(
    worker: Worker, model: Path, folder: Path, text: Path, recipe: str, samples: int = 8
) -> tuple[Path, Outcome]:
    """Make one recipe in the worker's process; returns the artifact's folder and the outcome."""
    proof = folder / "proof.safetensors"
    return run_method(worker, model, recipe, folder, text, samples=samples, proof=proof)


def measured(output: Path, recipe: str) -> WeightMeasures:
    found = find_recipe(recipe)
    measures = measure_weights(output, found)
    check_measures(output, found, measures)
    return measures


@pytest.mark.engine
@pytest.mark.parametrize(
    ("family", "recipe"),
    [
        ("llama", "fp8-kv"),
        ("llama", "fp8-per-channel"),
        ("llama", "nvfp4-w4a16"),
        ("llama", "nvfp4-awq"),
        ("llama", "nvfp4-qat"),
        ("llama", "mxfp4"),
        ("llama", "mxfp8"),
        ("llama", "int8-w8a8"),
        ("llama", "int4-awq"),
        ("llama", "auto-6"),
        ("qwen3", "nvfp4-awq"),
        ("qwen3", "int8-w8a8"),
        ("qwen3-moe", "nvfp4"),
        ("qwen3-moe", "int8-w8a8"),
        ("qwen3-moe", "mxfp4"),
        ("mixtral", "fp8"),
        ("mixtral", "auto-6"),
    ],
)
def test_every_linear_layer_is_stored_in_the_recipes_format(
    worker: Worker,
    models: dict[Family, Path],
    tmp_path: Path,
    calibration_text: Path,
    family: Family,
    recipe: str,
) -> None:
    model = models[family]
    output, outcome = carry_out(worker, model, tmp_path, calibration_text, recipe)
    measures = measured(output, recipe)
    linear_per_layer = 4 + 3 * (EXPERTS if family in ("qwen3-moe", "mixtral") else 1)
    assert len(measures.linear_layers) == 2 * linear_per_layer
    source = measure_weights(model, find_recipe("bf16"))
    assert measures.parameter_count == source.parameter_count
    assert {layer.name for layer in measures.linear_layers} == {
        layer.name for layer in source.linear_layers
    }
    assert outcome.calibration_sha256 is not None
    assert outcome.peak_memory_bytes > 100e6
    described = (output / "config.json").read_text()
    assert str(tmp_path) not in described
    assert (output / "tokenizer.model").read_bytes() == (model / "tokenizer.model").read_bytes()
    proof = {item.name: item for item in read_safetensors(tmp_path / "proof.safetensors")}
    assert proof["ids"].shape == (4, 64)
    assert (proof["logits"].kind, proof["logits"].shape) == ("F32", (4, 64, 512))


@pytest.mark.engine
def test_folded_scales_leave_a_plain_checkpoint(
    worker: Worker, models: dict[Family, Path], tmp_path: Path, calibration_text: Path
) -> None:
    output, _ = carry_out(worker, models["llama"], tmp_path, calibration_text, "nvfp4-awq")
    names = {item.name for item in read_safetensors(output / "model.safetensors")}
    assert not [name for name in names if "pre_quant_scale" in name]
    description = json.loads((output / "hf_quant_config.json").read_text())["quantization"]
    assert (description["quant_algo"], description["group_size"]) == ("NVFP4", 16)
    assert "pre_quant_scale" not in description


@pytest.mark.engine
def test_a_calibration_text_that_is_too_short_is_refused_in_one_line(
    worker: Worker, models: dict[Family, Path], tmp_path: Path, calibration_text: Path
) -> None:
    with pytest.raises(ToolError, match=r"exit code 2: .* is too short: .*ask for at most"):
        carry_out(worker, models["llama"], tmp_path, calibration_text, "fp8", samples=100_000)
