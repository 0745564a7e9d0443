"""Rewrite a modelopt checkpoint in the compressed-tensors form, where that is what vLLM loads.

vLLM refuses modelopt's MXFP4 and INT8 checkpoints; it loads the same values and scales as
``mxfp4-pack-quantized`` and ``int-quantized``. Names and shapes:
https://github.com/vllm-project/compressed-tensors (compressors/mxfp4, compressors/naive_quantized).
"""

from pathlib import Path
from typing import Any

import torch
from compressed_tensors.quantization import (
    QuantizationArgs,
    QuantizationConfig,
    QuantizationScheme,
    QuantizationStatus,
    QuantizationStrategy,
    QuantizationType,
)
from safetensors import safe_open
from safetensors.torch import save_file

from quantize.by_modelopt.modelopt_job import CompressedForm


def rewrite(folder: Path, form: CompressedForm, ignored: list[str]) -> dict[str, Any]:
    """Rename and reshape the tensors of every file in ``folder``; returns quantization_config.

    One file is held in memory at a time. ``ignored`` are the linear layers left in 16 bits.
    """
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        quantized = {
            name.removesuffix(".weight_scale") for name in tensors if name.endswith(".weight_scale")
        }
        renamed = {}
        for name, tensor in tensors.items():
            layer, _, part = name.rpartition(".")
            if layer not in quantized:
                renamed[name] = tensor
            elif part != "input_scale":
                renamed |= _part(layer, part, tensor, form)
        save_file(renamed, path, metadata={"format": "pt"})
    return _description(form, ignored)


def _part(
    layer: str, part: str, tensor: torch.Tensor, form: CompressedForm
) -> dict[str, torch.Tensor]:
    if part == "weight":
        return {f"{layer}.{form.values}": tensor}
    if part == "weight_scale" and form.group is None:
        # One scale per row stands in a column.
        return {f"{layer}.{part}": tensor.reshape(-1, 1)}
    return {f"{layer}.{part}": tensor}


def _mxfp4(form: CompressedForm) -> tuple[QuantizationArgs, QuantizationArgs]:
    weights = QuantizationArgs(
        num_bits=form.bits,
        type=QuantizationType.FLOAT,
        strategy=QuantizationStrategy.GROUP,
        group_size=form.group,
        scale_dtype=torch.uint8,
        zp_dtype=torch.uint8,
    )
    return weights, weights.model_copy(update={"dynamic": True, "observer": None})


def _int8(form: CompressedForm) -> tuple[QuantizationArgs, QuantizationArgs]:
    return (
        QuantizationArgs(num_bits=form.bits, strategy=QuantizationStrategy.CHANNEL),
        QuantizationArgs(num_bits=form.bits, strategy=QuantizationStrategy.TOKEN, dynamic=True),
    )


# The library's words for weights and inputs of a layer format.
_ARGUMENTS = {"MXFP4": _mxfp4, "INT8-CHANNEL": _int8}


def _description(form: CompressedForm, ignored: list[str]) -> dict[str, Any]:
    """The ``quantization_config``, built and so checked by the format's own library."""
    weights, inputs = _ARGUMENTS[form.layer](form)
    scheme = QuantizationScheme(
        targets=["Linear"], weights=weights, input_activations=inputs, format=form.format
    )
    config = QuantizationConfig(
        config_groups={"group_0": scheme},
        format=form.format,
        ignore=sorted(ignored),
        quantization_status=QuantizationStatus.COMPRESSED,
    )
    described: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    return described
