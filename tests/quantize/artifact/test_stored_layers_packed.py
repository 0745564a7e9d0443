"""GPTQ and AWQ checkpoints of one layer, 256 inputs x 128 outputs, held against their recipes.

covers: quantize/artifact/manifest.py, quantize/artifact/stored_layers.py
"""

import json
from pathlib import Path

import numpy as np
import pytest

from quantize.artifact.manifest import ArtifactError
from quantize.artifact.stored_layers import find_layer
from quantize.artifact.stored_tensor import StoredTensor
from quantize.artifact_check import check_measures, measure_weights
from quantize.recipes.catalogue import RECIPES, find_recipe
from tests.quantize.tiny_model import write_safetensors

INPUTS, OUTPUTS = 256, 128
LAYER = "model.layers.0.mlp.up_proj."
PACKED = [name for name, recipe in RECIPES.items() if recipe.method in ("gptq", "awq", "rtn")]


def parts(bits: int, groups: int, *, awq: bool = False) -> dict[str, tuple[str, np.ndarray]]:
    """The layer's tensors, all zeros."""
    packed_inputs, packed_outputs = INPUTS * bits // 32, OUTPUTS * bits // 32
    shape = (INPUTS, packed_outputs) if awq else (packed_inputs, OUTPUTS)
    index = {} if awq else {"g_idx": ("I32", np.zeros(INPUTS, "<i4"))}
    return index | {
        "qweight": ("I32", np.zeros(shape, "<i4")),
        "qzeros": ("I32", np.zeros((groups, packed_outputs), "<i4")),
        "scales": ("F16", np.zeros((groups, OUTPUTS), "<f2")),
    }


def checkpoint(folder: Path, tensors: dict[str, tuple[str, np.ndarray]], announced: object) -> Path:
    write_safetensors(
        folder / "model.safetensors", {LAYER + part: value for part, value in tensors.items()}
    )
    (folder / "config.json").write_text(json.dumps({"quantization_config": announced}))
    return folder


def announced_by(recipe: str) -> dict[str, object]:
    return dict(find_recipe(recipe).announced)


def check(folder: Path, recipe: str) -> float:
    found = find_recipe(recipe)
    measures = measure_weights(folder, found)
    check_measures(folder, found, measures)
    return measures.bits_per_weight


@pytest.mark.parametrize("name", PACKED)
def test_every_recipes_layout_is_known_by_its_shapes(tmp_path: Path, name: str) -> None:
    recipe = find_recipe(name)
    bits = int(recipe.bits)
    group_size = INPUTS if recipe.group_size == -1 else recipe.group_size
    assert group_size is not None
    awq = recipe.method == "awq"
    tensors = parts(bits, INPUTS // group_size, awq=awq)
    checkpoint(tmp_path, tensors, announced_by(name))
    expected = bits + (16 + bits) / group_size + (0 if awq else 32 / OUTPUTS)
    assert check(tmp_path, name) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (parts(4, 8), "GPTQ-INT4 in groups of 32"),
        (parts(4, 1), "GPTQ-INT4 in groups of 256"),
        (parts(3, 2), "GPTQ-INT3 in groups of 128"),
        (parts(8, 2), "GPTQ-INT8 in groups of 128"),
        (parts(4, 2, awq=True), "AWQ-INT4 in groups of 128"),
        ({"qweight": parts(4, 2)["qweight"]}, "qweight:I32"),
    ],
)
def test_another_packing_than_the_recipes_is_refused(
    tmp_path: Path, tensors: dict[str, tuple[str, np.ndarray]], said: str
) -> None:
    checkpoint(tmp_path, tensors, announced_by("gptq-int4-g128"))
    with pytest.raises(ArtifactError, match=rf"is no gptq-int4-g128.*up_proj as {said}"):
        check(tmp_path, "gptq-int4-g128")


def test_groups_count_for_recipes_with_one_group_per_row(tmp_path: Path) -> None:
    name = "gptq-int4-channel-actorder"
    checkpoint(tmp_path, parts(4, 2), announced_by(name))
    with pytest.raises(ArtifactError, match="in groups of 128"):
        check(tmp_path, name)


@pytest.mark.parametrize(
    "damage",
    [
        {"qzeros": ("I32", (3, 16))},
        {"qweight": ("I32", (31, 128))},
        {"qweight": ("F32", (32, 128))},
        {"scales": ("F32", (2, 128))},
        {"g_idx": ("I32", (128,))},
    ],
)
def test_parts_that_do_not_fit_together_are_no_packing(
    damage: dict[str, tuple[str, tuple[int, ...]]],
) -> None:
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {
        "qweight": ("I32", (32, 128)),
        "qzeros": ("I32", (2, 16)),
        "scales": ("F16", (2, 128)),
        "g_idx": ("I32", (256,)),
    }

    def stored(given: dict[str, tuple[str, tuple[int, ...]]]) -> dict[str, StoredTensor]:
        return {
            part: StoredTensor(name=part, kind=kind, shape=shape, offset=0, size_bytes=1)
            for part, (kind, shape) in given.items()
        }

    found = find_layer(stored(shapes))
    assert found is not None
    assert (found.format.name, found.group_size) == ("GPTQ-INT4", 128)
    assert find_layer(stored(shapes | damage)) is None


@pytest.mark.parametrize(
    ("announced", "message"),
    [
        (None, "announces no quantization"),
        ({"quant_method": "awq"}, "announces quant_method = awq, but"),
        ({"bits": 8}, "announces bits = 8, but"),
        ({"group_size": 64}, "announces group_size = 64, but"),
        ({"desc_act": True}, "announces desc_act = True, but"),
        ({"sym": False}, "announces sym = False, but"),
    ],
)
def test_what_the_configuration_announces_must_fit(
    tmp_path: Path, announced: dict[str, object] | None, message: str
) -> None:
    whole = None if announced is None else announced_by("gptq-int4-g128") | announced
    checkpoint(tmp_path, parts(4, 2), whole)
    with pytest.raises(ArtifactError, match=message):
        check(tmp_path, "gptq-int4-g128")


def test_a_router_is_no_linear_layer(tmp_path: Path) -> None:
    tensors = {LAYER + part: value for part, value in parts(4, 2).items()}
    router = ("BF16", np.zeros((4, 256), "<u2"))
    write_safetensors(
        tmp_path / "model.safetensors", tensors | {"model.layers.0.mlp.gate.weight": router}
    )
    measures = measure_weights(tmp_path, find_recipe("gptq-int4-g128"))
    assert [layer.name for layer in measures.linear_layers] == [LAYER.rstrip(".")]
    assert measures.parameter_count == 256 * 128 + 4 * 256
