"""A transformers model that computes what an artifact says: decoded weights, rounded inputs.

Weights are held and multiplied in float32. A decoded value (a 4-bit code times two scales) rarely
fits 16 bits, and a kernel that multiplies the codes themselves accumulates exact products in
float32: so nothing but the format's own rounding is in the result. The price is four bytes per
weight. ``dtype`` bfloat16 is there to be held against tools whose own emulation rounds to it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.initialization import no_init_weights

from quantize.artifact.gguf_header import GGUF_NAME
from quantize.emulation.in_quantize import rounded_attention
from quantize.emulation.in_quantize.decoded_artifact import SafetensorsArtifact
from quantize.emulation.in_quantize.experts import split_experts
from quantize.emulation.in_quantize.gguf_inputs import round_inputs
from quantize.emulation.in_quantize.gguf_weights import gguf_weights, stored_kinds
from quantize.formats.announced_schemes import CheckpointError
from quantize.formats.in_quantize.activations import CacheRounding, InputRounding
from quantize.formats.layer_format import InputKind


@dataclass(frozen=True, kw_only=True)
class EmulatedModel:
    """``read_bytes`` and ``read_kinds`` count the stored tensors the weights were decoded from.

    ``cache_roundings`` by layer number say what keys and values are rounded to.
    """

    model: PreTrainedModel
    read_bytes: int
    read_kinds: Mapping[str, int]
    cache_roundings: Mapping[int, CacheRounding]


def load_emulated(
    artifact: Path,
    *,
    attention: str | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    kept_inputs: Collection[InputKind] = (),
) -> EmulatedModel:
    """Build an artifact's model; blocks while every tensor is read and decoded.

    ``attention`` names the attention function of a caller that keeps the cache itself, and rounds
    it; by default the model does so in its own forward pass. Inputs that are to be rounded in one
    of the ways of ``kept_inputs`` are left as they are, as an engine leaves them that lacks a
    format's arithmetic and only shrinks its weights.

    Raises:
        CheckpointError: the artifact holds something that is not understood, lacks a weight of
            its architecture, or has one that does not fit.
        WeightFileError: a weight file is missing, truncated or damaged.
    """
    stored = SafetensorsArtifact(artifact, str(device))
    model = _empty_model(artifact, attention or rounded_attention.register(), dtype)
    _fill(model, stored.weights(), torch.device(device), dtype)
    _round_inputs(model, stored.input_roundings, kept_inputs)
    if attention is None:
        rounded_attention.attach(model, stored.cache_roundings)
    return EmulatedModel(
        model=model,
        read_bytes=stored.stored.read_bytes,
        read_kinds=dict(stored.stored.read_kinds),
        cache_roundings=stored.cache_roundings,
    )


def load_gguf(
    artifact: Path,
    config_folder: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    rounds_inputs: bool = False,
) -> PreTrainedModel:
    """A GGUF artifact's weights in a transformers model; ``config_folder`` has its config.json.

    Inputs are left as they are, or rounded as llama.cpp's kernels round them; those of experts,
    whose layers are stored as one, are always left.

    Raises:
        CheckpointError, ToolError, WeightFileError: as for decoding.
    """
    model = _empty_model(config_folder, "sdpa", dtype)
    _fill(model, gguf_weights(artifact / GGUF_NAME), torch.device(device), dtype)
    if rounds_inputs:
        round_inputs(model, stored_kinds(artifact / GGUF_NAME))
    return model


def load_any(
    artifact: Path,
    config_folder: Path,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> PreTrainedModel:
    """The model of any artifact; a GGUF's configuration is that of its source.

    Raises:
        CheckpointError, ToolError, WeightFileError: as for decoding.
    """
    if (artifact / GGUF_NAME).is_file():
        return load_gguf(artifact, config_folder, device=device, dtype=dtype)
    return load_emulated(artifact, device=device, dtype=dtype).model


def _empty_model(folder: Path, attention: str, dtype: torch.dtype) -> PreTrainedModel:
    """The architecture with uninitialized parameters, which cost no memory until written."""
    config: Any = AutoConfig.from_pretrained(folder)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with no_init_weights():
        model = AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation=attention, trust_remote_code=False
        )
    split_experts(model)
    return model.eval().requires_grad_(False)


def _fill(
    model: PreTrainedModel,
    weights: Iterator[tuple[str, Tensor]],
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    missing = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    tied = "lm_head.weight" if model.config.tie_word_embeddings else ""
    for name, values in weights:
        # A second copy of tied weights is left alone, as every engine does.
        if name == tied:
            continue
        owner, _, leaf = name.rpartition(".")
        if name not in missing and _is_of_no_effect(name, values):
            continue
        if name not in missing:
            raise CheckpointError(f"{name} is no weight of {type(model).__name__}")
        module = model.get_submodule(owner)
        wanted = module.get_parameter(leaf).shape
        if values.shape != wanted:
            raise CheckpointError(f"{name} has shape {tuple(values.shape)}, not {tuple(wanted)}")
        setattr(module, leaf, nn.Parameter(values.to(device, dtype), requires_grad=False))
        missing.discard(name)
    if tied:
        model.get_output_embeddings().weight = model.get_input_embeddings().weight
        missing.discard(tied)
    if missing:
        first = sorted(missing)[0]
        raise CheckpointError(f"{len(missing)} weights are missing, first {first}")
    # What is left are buffers (rotary frequencies), which the architecture computes itself.
    model.to(device)


def _is_of_no_effect(name: str, values: Tensor) -> bool:
    """What packers write beside any architecture: biases of zeros, and rotary frequencies."""
    return name.endswith("rotary_emb.inv_freq") or (name.endswith(".bias") and not values.any())


def _round_inputs(
    model: PreTrainedModel,
    roundings: Mapping[str, InputRounding],
    kept: Collection[InputKind],
) -> None:
    for name, rounding in roundings.items():
        if rounding.kind in kept:
            rounding = replace(rounding, kind="none")
        if not rounding.changes_inputs:
            continue
        module = model.get_submodule(name)
        assert isinstance(module, nn.Linear), name
        placed = rounding.to(module.weight.device)
        module.register_forward_pre_hook(_Rounded(placed))


class _Rounded:
    """A forward pre-hook that rounds a linear layer's input."""

    def __init__(self, rounding: InputRounding) -> None:
        self._rounding = rounding

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        return (self._rounding(inputs[0]),)
