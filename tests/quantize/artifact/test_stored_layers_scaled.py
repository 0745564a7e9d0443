"""Every format of values beside scales, proven from the tensors of small checkpoints.

covers: quantize/artifact/stored_layers.py
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from quantize.artifact.manifest import ArtifactError
from quantize.artifact_check import check_measures, measure_weights
from quantize.recipes.catalogue import find_recipe
from tests.quantize.tiny_model import write_safetensors

OUT, IN = 512, 256
LAYER = "model.layers.0.mlp.up_proj"
WIDTHS = {"F8_E4M3": "u1", "U8": "u1", "I8": "i1", "F32": "<f4", "BF16": "<u2"}
Parts = Mapping[str, tuple[str, tuple[int, ...]]]

FP8: Parts = {
    "weight": ("F8_E4M3", (OUT, IN)),
    "weight_scale": ("F32", ()),
    "input_scale": ("F32", ()),
}
NVFP4: Parts = {
    "weight": ("U8", (OUT, IN // 2)),
    "weight_scale": ("F8_E4M3", (OUT, IN // 16)),
    "weight_scale_2": ("F32", ()),
    "input_scale": ("F32", ()),
}
STORED: dict[str, tuple[Parts, float]] = {
    "fp8": (FP8, 8 + 64 / (OUT * IN)),
    "fp8-per-channel": (
        {"weight": ("F8_E4M3", (OUT, IN)), "weight_scale": ("F32", (OUT,))},
        8 + 32 / IN,
    ),
    "nvfp4": (NVFP4, 4.5 + 64 / (OUT * IN)),
    "nvfp4-w4a16": (
        {name: part for name, part in NVFP4.items() if name != "input_scale"},
        4.5 + 32 / (OUT * IN),
    ),
    "mxfp4": (
        {"weight_packed": ("U8", (OUT, IN // 2)), "weight_scale": ("U8", (OUT, IN // 32))},
        4.25,
    ),
    "mxfp8": (
        {"weight": ("F8_E4M3", (OUT, IN)), "weight_scale": ("U8", (OUT, IN // 32))},
        8.25,
    ),
    "int8-w8a8": (
        {"weight": ("I8", (OUT, IN)), "weight_scale": ("F32", (OUT, 1))},
        8 + 32 / IN,
    ),
    "int4-awq": (
        {
            "weight": ("U8", (OUT // 2, IN)),
            "weight_scale": ("F32", (OUT, IN // 128)),
            "pre_quant_scale": ("BF16", (IN,)),
        },
        4.25 + 16 / OUT,
    ),
}


def write(folder: Path, recipe: str, layers: Mapping[str, Parts]) -> Path:
    """A checkpoint of these layers that announces what the recipe does."""
    write_safetensors(
        folder / "model.safetensors",
        {
            f"{layer}.{part}": (kind, np.zeros(shape, WIDTHS[kind]))
            for layer, parts in layers.items()
            for part, (kind, shape) in parts.items()
        },
    )
    announced: dict[str, object] = {}
    for key, value in find_recipe(recipe).announced.items():
        outer, _, inner = key.partition(".")
        if inner:
            nested = announced.setdefault(outer, {})
            assert isinstance(nested, dict)
            nested[inner] = value
        else:
            announced[outer] = value
    (folder / "config.json").write_text(json.dumps({"quantization_config": announced}))
    return folder


def check(folder: Path, recipe: str) -> float:
    found = find_recipe(recipe)
    measures = measure_weights(folder, found)
    check_measures(folder, found, measures)
    assert measures.parameter_count == OUT * IN * len(measures.linear_layers)
    return measures.bits_per_weight


@pytest.mark.parametrize("recipe", STORED)
def test_a_sound_layer_costs_its_values_and_its_scales(tmp_path: Path, recipe: str) -> None:
    parts, bits = STORED[recipe]
    assert check(write(tmp_path, recipe, {LAYER: parts}), recipe) == pytest.approx(bits)


@pytest.mark.parametrize("recipe", STORED)
def test_sixteen_bit_layers_under_a_quantized_name_are_refused(tmp_path: Path, recipe: str) -> None:
    write(tmp_path, recipe, {LAYER: {"weight": ("BF16", (OUT, IN))}})
    with pytest.raises(ArtifactError, match=rf"is no {recipe}: 1 of 1 .*up_proj as BF16"):
        check(tmp_path, recipe)


@pytest.mark.parametrize("recipe", STORED)
def test_no_format_passes_for_another(tmp_path: Path, recipe: str) -> None:
    write(tmp_path, recipe, {LAYER: STORED[recipe][0]})
    for other in STORED.keys() - {recipe}:
        with pytest.raises(ArtifactError, match=f"is no {other}: 1 of 1"):
            check(tmp_path, other)


def test_scales_that_do_not_fit_their_values_are_refused(tmp_path: Path) -> None:
    coarse = dict(NVFP4) | {"weight_scale": ("F8_E4M3", (OUT, IN // 32))}
    write(tmp_path, "nvfp4", {LAYER: coarse})
    with pytest.raises(ArtifactError, match=r"up_proj as .*weight:U8\+weight_scale:F8_E4M3\+"):
        check(tmp_path, "nvfp4")


def test_one_layer_left_in_sixteen_bits_is_found_among_many(tmp_path: Path) -> None:
    layers: dict[str, Parts] = {f"model.layers.{i}.mlp.up_proj": NVFP4 for i in range(3)}
    layers["model.layers.1.mlp.down_proj"] = {"weight": ("BF16", (OUT, IN))}
    write(tmp_path, "nvfp4", layers)
    with pytest.raises(ArtifactError, match=r"1 of 4 linear layers.*1\.mlp\.down_proj as BF16"):
        check(tmp_path, "nvfp4")


def test_a_mixture_costs_what_its_layers_cost_and_must_keep_its_budget(tmp_path: Path) -> None:
    halves: dict[str, Parts] = {LAYER: NVFP4, "model.layers.1.mlp.up_proj": FP8}
    assert check(write(tmp_path, "auto-6", halves), "auto-6.3") == pytest.approx(6.25, abs=0.01)
    with pytest.raises(ArtifactError, match=r"6\.25 bits per weight, expected 4\.5 to 4\.9"):
        check(tmp_path, "auto-4.8")


def test_an_fp8_cache_must_be_announced(tmp_path: Path) -> None:
    with_cache = {
        LAYER: FP8,
        "model.layers.0.self_attn.k_proj": dict(FP8) | {"k_scale": ("F32", ())},
    }
    write(tmp_path, "fp8-kv", with_cache)
    assert check(tmp_path, "fp8-kv") == pytest.approx(8, abs=0.001)
    write(tmp_path, "fp8", with_cache)
    with pytest.raises(ArtifactError, match=r"announces kv_cache_scheme\.num_bits = None"):
        check(tmp_path, "fp8-kv")


def test_another_algorithm_than_the_recipes_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "fp8", {LAYER: NVFP4})
    with pytest.raises(ArtifactError, match=r"announces quant_algo = FP8, but nvfp4 has .* NVFP4"):
        check(tmp_path, "nvfp4")
