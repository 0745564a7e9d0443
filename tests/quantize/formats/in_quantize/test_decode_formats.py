"""Stored forms against what torch itself, or plain arithmetic, makes of the same bytes.

covers: quantize/formats/in_quantize/activations.py
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from quantize.artifact.stored_layers import find_layer
from quantize.artifact.stored_tensor import StoredTensor
from quantize.formats.announced_schemes import CheckpointError, Schemes
from quantize.formats.in_quantize.block_scaled import encode_mxfp4, encode_mxfp8, encode_nvfp4
from quantize.formats.in_quantize.decode_formats import DECODERS, StoredModule, decode_module
from quantize.formats.in_quantize.integer_groups import (
    decode_int_groups,
    encode_int_groups,
    pack_gptq,
    pack_words,
)
from quantize.formats.layer_format import LayerFormat
from quantize.formats.published_formats import EVERY_LAYER

KINDS = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float8_e4m3fn: "F8_E4M3",
}
GENERATOR = torch.Generator().manual_seed(2)
WEIGHT = torch.randn((32, 64), generator=GENERATOR)
INPUT = torch.randn((3, 5, 64), generator=GENERATOR)


def modelopt(algorithm: str) -> Schemes:
    return Schemes({"quant_method": "modelopt", "quant_algo": algorithm})


def stored(**parts: Tensor) -> StoredModule:
    kinds = {name: KINDS[part.dtype] for name, part in parts.items()}
    return StoredModule(name="model.layers.0.mlp.up_proj", parts=parts, kinds=kinds)


@pytest.mark.parametrize("scale", [torch.tensor(0.01), torch.rand(32) / 100, torch.rand(32, 1)])
def test_fp8_is_the_code_times_the_scale_of_tensor_or_row(scale: Tensor) -> None:
    codes = (WEIGHT * 50).to(torch.float8_e4m3fn)
    module = stored(weight=codes, weight_scale=scale, input_scale=torch.tensor(0.02))
    decoded = decode_module(module, modelopt("FP8"))
    expected = codes.float() * (scale if scale.ndim != 1 else scale[:, None])
    assert torch.equal(decoded.parameters["weight"], expected)
    rounded = (INPUT / 0.02).clamp(-448, 448).to(torch.float8_e4m3fn).float() * 0.02
    assert torch.allclose(decoded.inputs(INPUT), rounded, rtol=1e-6)


def test_fp8_inputs_per_token_use_each_tokens_own_largest_value() -> None:
    codes = (WEIGHT * 50).to(torch.float8_e4m3fn)
    module = stored(weight=codes, weight_scale=torch.rand(32))
    rounded = decode_module(module, modelopt("FP8_PER_CHANNEL_PER_TOKEN")).inputs(INPUT)
    scale = INPUT.abs().amax(-1, keepdim=True) / 448
    expected = (INPUT * scale.reciprocal()).to(torch.float8_e4m3fn).float() * scale
    assert torch.equal(rounded, expected)
    assert torch.allclose(rounded.abs().amax(-1), INPUT.abs().amax(-1), rtol=1e-6)


def test_nvfp4_is_the_same_under_both_producers_names() -> None:
    packed, scale, second = encode_nvfp4(WEIGHT)
    ours = stored(weight=packed, weight_scale=scale, weight_scale_2=second)
    weight = decode_module(ours, modelopt("W4A16_NVFP4")).parameters["weight"]
    low, high = packed & 15, packed >> 4
    values = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    codes = torch.stack((low, high), -1).flatten(-2).int()
    signed = values[codes & 7] * torch.where(codes >= 8, -1.0, 1.0)
    assert torch.equal(weight, signed * (scale.float() * second).repeat_interleave(16, -1))
    weights = {"num_bits": 4, "type": "float", "group_size": 16}
    group = {"targets": ["Linear"], "weights": weights}
    theirs = stored(weight_packed=packed, weight_scale=scale, weight_global_scale=1 / second)
    schemes = Schemes({"quant_method": "compressed-tensors", "config_groups": {"g": group}})
    other = decode_module(theirs, schemes).parameters["weight"]
    assert torch.allclose(other, weight, rtol=1e-6)


def test_mxfp4_and_mxfp8_scale_blocks_of_32_by_powers_of_two() -> None:
    scale = torch.randint(120, 130, (32, 2), generator=GENERATOR, dtype=torch.uint8)
    power = torch.exp2(scale.float() - 127).repeat_interleave(32, -1)
    eight = WEIGHT.to(torch.float8_e4m3fn)
    module = stored(weight=eight, weight_scale=scale)
    weight = decode_module(module, modelopt("MXFP8")).parameters["weight"]
    assert torch.equal(weight, eight.float() * power)
    ones = torch.full((32, 32), 0x2A, dtype=torch.uint8)  # -1 then 1
    four = decode_module(stored(weight=ones, weight_scale=scale), modelopt("MXFP4"))
    signs = torch.tensor([-1.0, 1.0]).repeat(32)
    assert torch.equal(four.parameters["weight"], signs * power)
    assert four.inputs.kind == "mxfp4"


def test_int8_multiplies_smoothed_inputs_before_it_rounds_them() -> None:
    codes = (WEIGHT * 30).to(torch.int8)
    smooth = torch.rand(64) + 0.5
    module = stored(
        weight=codes,
        weight_scale=torch.full((32,), 0.5),
        input_scale=torch.tensor(0.05),
        pre_quant_scale=smooth,
    )
    decoded = decode_module(module, modelopt("W8A8_SQ_PER_CHANNEL"))
    assert torch.equal(decoded.parameters["weight"], codes.float() * 0.5)
    expected = (INPUT * smooth / 0.05).round().clamp(-128, 127) * 0.05
    assert (decoded.inputs(INPUT) - expected).abs().max() < 0.0501
    assert ((decoded.inputs(INPUT) - expected).abs() > 1e-5).float().mean() < 0.01


def test_int4_of_modelopt_packs_two_rows_into_a_byte() -> None:
    codes = torch.randint(-8, 8, (32, 64), generator=GENERATOR, dtype=torch.int8)
    packed = ((codes[0::2] & 15) | ((codes[1::2] & 15) << 4)).view(torch.uint8)
    scale = torch.rand((32, 4), generator=GENERATOR)
    decoded = decode_module(stored(weight=packed, weight_scale=scale), modelopt("W4A16_AWQ"))
    expected = codes.float() * scale.repeat_interleave(16, -1)
    assert torch.equal(decoded.parameters["weight"], expected)
    assert not decoded.inputs.changes_inputs


def test_layers_of_a_mixed_checkpoint_are_each_read_their_own_way() -> None:
    name = "model.layers.0.mlp.up_proj"
    layers = {name: {"quant_algo": "FP8"}, "other": {"quant_algo": "NVFP4"}}
    mixed = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}
    schemes = Schemes(mixed | {"quantized_layers": layers})
    assert [schemes.of(key).inputs for key in layers] == ["fp8", "nvfp4"]
    with pytest.raises(CheckpointError, match="MIXED_PRECISION"):
        schemes.of("model.layers.9.mlp.up_proj")


@pytest.mark.parametrize(
    ("parts", "description", "message"),
    [
        ({"weight": torch.int8}, {"quant_method": "modelopt", "quant_algo": "FP8"}, "no form"),
        ({"weight": torch.int8}, {"quant_method": "exl2"}, "'exl2' is not understood"),
        ({"weight": torch.int8}, {"quant_method": "modelopt", "quant_algo": "FP5"}, "'FP5'"),
        (
            {"weight": torch.float8_e4m3fn, "weight_scale": torch.float32},
            {"quant_method": "modelopt", "quant_algo": "FP8"},
            "what its input is rounded to",
        ),
    ],
)
def test_what_is_not_understood_is_refused(
    parts: dict[str, torch.dtype], description: dict[str, Any], message: str
) -> None:
    tensors = {name: torch.zeros((32, 64), dtype=dtype) for name, dtype in parts.items()}
    with pytest.raises(CheckpointError, match=message):
        decode_module(stored(**tensors), Schemes(description))


@pytest.mark.parametrize("layer", EVERY_LAYER.values(), ids=list(EVERY_LAYER))
def test_every_coding_of_the_table_has_a_decoder(layer: LayerFormat) -> None:
    assert layer.coding == "plain" or layer.coding in DECODERS, (
        f"{layer.name}: nothing decodes the coding {layer.coding!r}; add a function to DECODERS in "
        "quantize/formats/in_quantize/decode_formats.py"
    )


def encoded() -> dict[str, StoredModule]:
    """The same weight as our own encoders make it, under the names of the rows' parts."""
    one = torch.tensor(1.0)
    nvfp4, mxfp4, mxfp8 = encode_nvfp4(WEIGHT), encode_mxfp4(WEIGHT), encode_mxfp8(WEIGHT)
    groups = encode_int_groups(WEIGHT, 4, 32, symmetric=True)
    zeros = torch.full_like(groups.scale.T, 8, dtype=torch.uint8)
    qweight, qzeros = pack_gptq(groups.codes + 8, zeros, 4)
    return {
        "NVFP4": stored(
            weight=nvfp4.packed,
            weight_scale=nvfp4.scale,
            weight_scale_2=nvfp4.scale_2,
            input_scale=one,
        ),
        "MXFP4": stored(weight_packed=mxfp4.packed, weight_scale=mxfp4.scale),
        "MXFP8": stored(weight=mxfp8.elements, weight_scale=mxfp8.scale),
        "GPTQ-INT4": stored(
            qweight=qweight,
            qzeros=qzeros,
            scales=groups.scale.T.to(torch.float16).contiguous(),
            g_idx=(torch.arange(WEIGHT.shape[1]) // 32).int(),
        ),
    }


@pytest.mark.parametrize(("name", "module"), encoded().items())
def test_what_our_encoders_make_has_the_shapes_of_its_row(name: str, module: StoredModule) -> None:
    tensors = {
        part: StoredTensor(
            name=part,
            kind=module.kinds[part],
            shape=tuple(tensor.shape),
            offset=0,
            size_bytes=tensor.nbytes,
        )
        for part, tensor in module.parts.items()
    }
    found = find_layer(tensors)
    assert found is not None
    assert (found.format.name, found.outputs, found.inputs) == (name, *WEIGHT.shape)


def test_a_layer_that_is_stored_otherwise_than_announced_is_refused() -> None:
    four = encoded()["MXFP4"]
    assert decode_module(four, modelopt("MXFP4")).inputs.kind == "mxfp4"
    with pytest.raises(CheckpointError, match=r"NVFP4 is announced, .*weight_packed U8"):
        decode_module(four, modelopt("NVFP4"))


def compressed(form: str, inputs: dict[str, object] | None = None, **weights: object) -> Schemes:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs}
    description = {"quant_method": "compressed-tensors", "format": form}
    return Schemes(description | {"config_groups": {"group_0": group}})


@pytest.mark.parametrize("symmetric", [True, False])
def test_packed_integers_of_compressed_tensors_are_offset_by_half_their_range(
    symmetric: bool,
) -> None:
    groups = encode_int_groups(WEIGHT, 4, 32, symmetric=symmetric)
    codes = groups.codes.int() + (8 if symmetric else 0)
    parts = {
        "weight_packed": pack_words(codes, 4),
        "weight_scale": groups.scale.to(torch.bfloat16),
        "weight_shape": torch.tensor(WEIGHT.shape),
    }
    if groups.zero is not None:
        parts["weight_zero_point"] = pack_words(groups.zero.T.contiguous(), 4).T.contiguous()
    schemes = compressed("pack-quantized", num_bits=4, type="int", group_size=32)
    decoded = decode_module(stored(**parts), schemes)
    scale = groups.scale.to(torch.bfloat16).float()
    expected = decode_int_groups(groups.codes, scale, groups.zero)
    assert torch.allclose(decoded.parameters["weight"], expected)
    assert decoded.inputs.kind == "none"


def test_blocks_of_fp8_share_a_scale_and_their_inputs_one_per_128() -> None:
    weight = torch.randn((256, 256), generator=GENERATOR).to(torch.float8_e4m3fn)
    scale = torch.rand((2, 2), generator=GENERATOR) + 0.5
    block = scale.repeat_interleave(128, 0).repeat_interleave(128, 1)
    hf = decode_module(
        stored(weight=weight, weight_scale_inv=scale),
        Schemes({"quant_method": "fp8", "activation_scheme": "dynamic"}),
    )
    dynamic = {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 128}
    other = decode_module(
        stored(weight=weight, weight_scale=scale),
        compressed("float-quantized", dynamic, num_bits=8, type="float", strategy="block"),
    )
    for found in (hf, other):
        assert torch.equal(found.parameters["weight"], weight.float() * block)
        assert found.inputs.kind == "fp8-block"
    inputs = torch.randn((3, 256), generator=GENERATOR)
    inputs[:, 128:] *= 1000
    off = (hf.inputs(inputs) - inputs).abs().unflatten(-1, (2, 128)).amax(-1)
    largest = inputs.abs().unflatten(-1, (2, 128)).amax(-1)
    # Half a step of E4M3 at the largest value of a block, not of the whole token.
    assert (off <= largest / 16).all()


def test_rows_of_fp8_with_a_scale_each_round_inputs_by_token() -> None:
    weight = WEIGHT.to(torch.float8_e4m3fn)
    scale = torch.rand((32, 1), generator=GENERATOR).to(torch.bfloat16)
    token = {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True}
    schemes = compressed("float-quantized", token, num_bits=8, type="float", strategy="channel")
    found = decode_module(stored(weight=weight, weight_scale=scale), schemes)
    assert torch.equal(found.parameters["weight"], weight.float() * scale.float())
    assert found.inputs.kind == "fp8-token"
