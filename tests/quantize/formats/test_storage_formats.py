"""Every row of the table is whole: what it lacks is said here, with the place where it belongs.

covers: quantize/formats/announced_schemes.py, quantize/formats/engine_support.py,
quantize/formats/layer_format.py, quantize/formats/safetensors_types.py,
quantize/formats/storage_format.py
"""

from collections.abc import Mapping
from typing import Any

import pytest

from quantize.formats.announced_schemes import CheckpointError, Schemes
from quantize.formats.engine_support import DEVICES
from quantize.formats.layer_format import LayerFormat, part
from quantize.formats.storage_format import StorageFormat, announced_at
from quantize.formats.storage_formats import FORMATS, GGUF_LAYERS, LAYER_FORMATS
from quantize.methods import METHODS
from quantize.recipes.catalogue import RECIPES
from quantize.validity.code_hash import imported_modules

ROWS = pytest.mark.parametrize("row", FORMATS.values(), ids=list(FORMATS))
ANNOUNCED = [row for row in FORMATS.values() if row.announced]


def description(row: StorageFormat) -> Mapping[str, Any]:
    """A ``quantization_config`` that says what a row announces, of layers of every kind."""
    said: dict[str, Any] = {"config_groups": {"all": {"targets": ["Linear"]}}}
    for dotted, value in row.announced.items():
        inner = said
        *outer, key = dotted.split(".")
        for name in outer:
            inner = inner.setdefault(name, {})
        inner[key] = value
    return said


@ROWS
def test_a_recipe_makes_it(row: StorageFormat) -> None:
    makers = [recipe.name for recipe in RECIPES.values() if recipe.format is row]
    assert makers, f"no recipe names the row {row.name!r}: add one in quantize/recipes/"


@ROWS
def test_an_engine_computes_it_on_every_device(row: StorageFormat) -> None:
    for device in DEVICES:
        assert any(device in devices for devices in row.engines.values()), (
            f"nothing loads {row.name!r} on {device}: name an engine in the row (the transformers "
            "engine emulates every safetensors format)"
        )


@ROWS
def test_a_quantized_checkpoint_is_announced_and_others_are_not(row: StorageFormat) -> None:
    quantized = row.weight_format == "safetensors" and row.layers != (LAYER_FORMATS["BF16"],)
    assert bool(row.announced.get("quant_method")) is quantized, (
        f"{row.name!r}: `announced` says what quantization_config must hold, its quant_method "
        "first; 16-bit and GGUF files have none"
    )


@ROWS
def test_a_mix_says_what_it_costs_and_everything_else_follows_from_its_layer(
    row: StorageFormat,
) -> None:
    assert len(row.layers) == 1 or row.mix_bits, f"{row.name!r} mixes layers: give `mix_bits`"
    layer = row.layers[0]
    low, high = row.effective_bits(layer.group or 128)
    assert row.bits <= low <= high, f"{row.name!r}: values of {row.bits} bits cost {low} to {high}"


@pytest.mark.parametrize("row", ANNOUNCED, ids=lambda row: row.name)
def test_what_it_announces_is_read_back_as_its_own_layer(row: StorageFormat) -> None:
    if len(row.layers) > 1:
        return
    layer = Schemes(description(row)).of("model.layers.0.mlp.up_proj").layer
    assert layer == row.layers[0], (
        f"{row.name!r} is read back as {layer and layer.name}: another row announces the same; "
        "what it announces must tell them apart"
    )


def test_the_announcement_of_one_format_is_that_of_no_other() -> None:
    for row in ANNOUNCED:
        others = [other for other in ANNOUNCED if other.is_announced_by(description(row))]
        assert {other.layers for other in others} == {row.layers}, row.name


def test_what_the_recipe_chooses_is_announced_as_it_chooses() -> None:
    row = FORMATS["gptq-int4-sym"]
    said = row.announcement({"group_size": 64, "desc_act": True, "damp_percent": 0.05})
    assert (said["group_size"], said["desc_act"], said["sym"]) == (64, True, True)
    assert "damp_percent" not in said
    assert announced_at({"a": {"b": 1}}, "a.b") == 1
    assert announced_at({"a": 1}, "a.b") is None


def test_integers_in_another_order_than_the_rows_are_refused() -> None:
    said = {**description(FORMATS["gptq-int4-sym"]), "checkpoint_format": "gptq_p"}
    with pytest.raises(CheckpointError, match="'gptq_p' is not understood as GPTQ-INT4"):
        Schemes(said).of("model.layers.0.mlp.up_proj")


@pytest.mark.parametrize("layer", LAYER_FORMATS.values(), ids=list(LAYER_FORMATS))
def test_a_layer_with_groups_says_how_long_they_are_or_leaves_it_to_the_recipe(
    layer: LayerFormat,
) -> None:
    has_groups = any(dim.axis == "groups" for part in layer.parts for dim in part.shape)
    assert has_groups is (layer.group is not None), (
        f"{layer.name}: `group` is the inputs per scale (0: the recipe's choice) where a shape "
        "names groups, and None elsewhere"
    )


def test_names_of_layers_are_unique() -> None:
    layers = {layer for row in FORMATS.values() for layer in row.layers}
    safetensors = {layer.name for layer in layers if layer.coding != "gguf"}
    assert len([layer for layer in layers if layer.coding != "gguf"]) == len(safetensors)


@pytest.mark.parametrize(
    ("layer", "group_size", "bits"),
    [
        ("NVFP4", None, 4.5),
        ("MXFP4", None, 4.25),
        ("INT4-AWQ", None, 4.25),
        ("GPTQ-INT4", 128, 4 + 20 / 128),
        ("GPTQ-INT3", 128, 3 + 19 / 128),
        ("AWQ-INT4", 32, 4 + 20 / 32),
        ("FP8", None, 8),
    ],
)
def test_the_bits_of_a_weight_follow_from_the_shapes_of_the_parts(
    layer: str, group_size: int | None, bits: float
) -> None:
    assert LAYER_FORMATS[layer].bits_per_weight(group_size) == bits


def test_a_whole_layer_costs_what_each_of_its_tensors_costs() -> None:
    # 256 outputs x 512 inputs: values, a scale per 16, and two numbers for the layer.
    assert LAYER_FORMATS["NVFP4"].bits(512, 256, None) == 512 * 256 * 4.5 + 64
    # Values, scale and zero point per 128, and 32 bits of index for each input.
    expected = 512 * 256 * (4 + 20 / 128) + 32 * 512
    assert LAYER_FORMATS["GPTQ-INT4"].bits(512, 256, 128) == expected
    assert GGUF_LAYERS["Q4_K"].bits(512, 256, None) == 512 * 256 * 4.5


@pytest.mark.parametrize("text", ["weight U8", "weight U5 (out, in)", "weight U8 (out, rows)"])
def test_a_part_that_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it as|write in, out, groups"):
        part(text)


def test_formats_with_narrow_inputs_round_them_and_weight_only_formats_do_not() -> None:
    rounding = {name for name, recipe in RECIPES.items() if recipe.format.rounds_inputs}
    assert {"fp8", "fp8-kv", "fp8-per-channel", "int8-w8a8", "nvfp4", "mxfp4", "mxfp8"} <= rounding
    kept = {"bf16", "nvfp4-w4a16", "int4-awq", "gptq-int4-g128", "awq-int4-g128", "gguf-q4_k_m"}
    assert not kept & rounding
    assert FORMATS["modelopt-mixed"].rounds_inputs


def test_a_new_row_or_recipe_leaves_the_artifacts_of_all_others_valid() -> None:
    for method in METHODS.values():
        read = imported_modules(method.make.__module__)
        assert "quantize.formats.storage_formats" not in read, method
        assert "quantize.recipes.catalogue" not in read, method
