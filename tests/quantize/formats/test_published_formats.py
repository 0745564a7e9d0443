"""Published formats are told apart by what they announce, and their layers by their shapes."""

from collections.abc import Mapping
from typing import Any

import pytest

from quantize.artifact.stored_layers import find_layer
from quantize.artifact.stored_tensor import StoredTensor
from quantize.formats.engine_support import GPUS
from quantize.formats.published_formats import EVERY_FORMAT, EVERY_LAYER, PUBLISHED, announced_row
from quantize.formats.storage_formats import FORMATS
from services.engines.table import ENGINES


def compressed(form: str, **weights: Any) -> dict[str, Any]:
    """What compressed-tensors writes, of one group of layers."""
    group = {"targets": ["Linear"], "weights": weights}
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "config_groups": {"group_0": group},
    }


# As published models have it in their config.json.
ANNOUNCED: Mapping[str, Mapping[str, Any]] = {
    "fp8-block": {
        "quant_method": "fp8",
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "weight_block_size": [128, 128],
    },
    "fp8-tensor": {"quant_method": "fp8", "activation_scheme": "static"},
    "compressed-fp8-channel": compressed("float-quantized", num_bits=8, strategy="channel"),
    "compressed-fp8-tensor": compressed("float-quantized", num_bits=8, strategy="tensor"),
    "compressed-fp8-block": compressed("float-quantized", num_bits=8, strategy="block"),
    "compressed-int4": compressed("pack-quantized", num_bits=4, type="int", group_size=128),
    "compressed-int8-weights": compressed("pack-quantized", num_bits=8, type="int"),
    "compressed-int8": compressed("int-quantized", num_bits=8, type="int"),
    "compressed-nvfp4": compressed("nvfp4-pack-quantized", num_bits=4, type="float"),
    "compressed-mxfp4": compressed("mxfp4-pack-quantized", num_bits=4, type="float"),
    "gpt-oss-mxfp4": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
    "modelopt-fp8": {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": ["lm_head"]},
    "modelopt-nvfp4": {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16},
    "awq-int4": {
        "quant_method": "awq",
        "bits": 4,
        "group_size": 128,
        "version": "gemm",
        "zero_point": True,
        "modules_to_not_convert": None,
    },
    "gptq-int4-sym": {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True},
}


@pytest.mark.parametrize(("form", "said"), ANNOUNCED.items())
def test_what_publishers_write_is_recognised(form: str, said: Mapping[str, Any]) -> None:
    found = announced_row(said)
    assert found is not None
    assert found.name == form


@pytest.mark.parametrize(
    "said",
    [
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "gptq", "bits": 4, "sym": False},
        {"quant_method": "awq", "bits": 4, "zero_point": False},
        compressed("marlin-24", num_bits=4),
    ],
)
def test_what_is_not_known_is_none(said: Mapping[str, Any]) -> None:
    assert announced_row(said) is None


# A layer of 256 inputs and 128 outputs as each format's tools store it.
STORED: Mapping[str, Mapping[str, tuple[str, tuple[int, ...]]]] = {
    "FP8-BLOCK": {"weight": ("F8_E4M3", (128, 256)), "weight_scale_inv": ("F32", (1, 2))},
    "FP8-BLOCK-128": {"weight": ("F8_E4M3", (128, 256)), "weight_scale": ("BF16", (1, 2))},
    "FP8-ROW": {"weight": ("F8_E4M3", (128, 256)), "weight_scale": ("BF16", (128, 1))},
    "FP8": {
        "weight": ("F8_E4M3", (128, 256)),
        "weight_scale": ("BF16", (1,)),
        "input_scale": ("BF16", (1,)),
    },
    "INT8-CHANNEL": {"weight": ("I8", (128, 256)), "weight_scale": ("BF16", (128, 1))},
    "PACKED-INT4": {
        "weight_packed": ("I32", (128, 32)),
        "weight_scale": ("BF16", (128, 2)),
        "weight_shape": ("I64", (2,)),
    },
    "NVFP4-PACKED": {
        "weight_packed": ("U8", (128, 128)),
        "weight_scale": ("F8_E4M3", (128, 16)),
        "weight_global_scale": ("F32", (1,)),
        "input_global_scale": ("F32", (1,)),
    },
    "MXFP4-EXPERTS": {"blocks": ("U8", (128, 128)), "scales": ("U8", (128, 8))},
}


@pytest.mark.parametrize(("layer", "parts"), STORED.items())
def test_a_layer_is_known_by_its_tensors_alone(
    layer: str, parts: Mapping[str, tuple[str, tuple[int, ...]]]
) -> None:
    tensors = {
        name: StoredTensor(name=name, kind=kind, shape=shape, offset=0, size_bytes=0)
        for name, (kind, shape) in parts.items()
    }
    found = find_layer(tensors)
    assert found is not None
    assert (found.format.name, found.inputs, found.outputs) == (layer, 256, 128)


def test_the_names_of_rows_and_layers_of_both_tables_are_unique() -> None:
    assert not set(PUBLISHED) & set(FORMATS)
    layers = [layer for row in EVERY_FORMAT.values() for layer in row.layers]
    safetensors = {layer for layer in layers if layer.coding != "gguf"}
    assert {layer.name for layer in safetensors} == set(EVERY_LAYER)
    assert len(safetensors) == len(EVERY_LAYER)


@pytest.mark.parametrize("row", PUBLISHED.values(), ids=list(PUBLISHED))
def test_every_gpu_has_an_engine_for_what_is_published(row: Any) -> None:
    assert set(row.engines) <= set(ENGINES)
    for device in GPUS:
        assert any(device in devices for devices in row.engines.values()), device
