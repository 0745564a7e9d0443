"""The emulated model against transformers' own, for every shape of model that is supported.

covers: quantize/artifact/in_quantize/stored_modules.py,
quantize/emulation/in_quantize/decoded_artifact.py, quantize/emulation/in_quantize/experts.py,
quantize/emulation/in_quantize/gguf_weights.py, quantize/emulation/in_quantize/rounded_attention.py
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from quantize.emulation.in_quantize.decoded_artifact import decoded_weights
from quantize.emulation.in_quantize.emulation import load_emulated
from quantize.formats.announced_schemes import CheckpointError
from services.server.in_quantize.slot_attention import Run, runs_of
from tests.quantize.emulation.in_quantize.models import CONFIGS, save_model

IDS = torch.randint(3, 320, (2, 24), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", CONFIGS)
def test_an_unquantized_model_gives_the_logits_of_transformers_itself(
    tmp_path: Path, shape: str
) -> None:
    model = save_model(tmp_path, shape)
    emulated = load_emulated(tmp_path)
    with torch.inference_mode():
        expected = model(IDS, use_cache=False).logits
        found = emulated.model(IDS, use_cache=False).logits
    assert (found - expected).abs().max() < 1e-5
    stored = load_file(tmp_path / "model.safetensors")
    assert emulated.read_bytes == sum(tensor.nbytes for tensor in stored.values())
    assert emulated.read_kinds == {"BF16": len(stored)}


def test_experts_are_named_one_by_one_whatever_the_checkpoint_calls_them(tmp_path: Path) -> None:
    model = save_model(tmp_path, "mixtral")
    weights = dict(decoded_weights(tmp_path))
    fused = model.state_dict()["model.layers.1.mlp.experts.gate_up_proj"]
    gate, up = fused[3].chunk(2)
    assert torch.equal(weights["model.layers.1.mlp.experts.3.gate_proj.weight"], gate)
    assert torch.equal(weights["model.layers.1.mlp.experts.3.up_proj.weight"], up)


def test_experts_that_a_checkpoint_keeps_fused_are_split(tmp_path: Path) -> None:
    model = save_model(tmp_path, "qwen3-moe")
    with torch.inference_mode():
        expected = model(IDS, use_cache=False).logits
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert "model.layers.0.mlp.experts.gate_up_proj" in state
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with torch.inference_mode():
        found = load_emulated(tmp_path).model(IDS, use_cache=False).logits
    assert (found - expected).abs().max() < 1e-5


def test_a_missing_a_foreign_and_a_misshapen_weight_are_refused_by_name(tmp_path: Path) -> None:
    save_model(tmp_path, "llama")
    path = tmp_path / "model.safetensors"
    whole = load_file(path)
    name = "model.layers.1.mlp.up_proj.weight"
    changes = {
        "missing": {key: tensor for key, tensor in whole.items() if key != name},
        "no weight of": whole | {"model.layers.7.mlp.up_proj.weight": whole[name].clone()},
        "has shape": whole | {name: whole[name][:-1].contiguous()},
    }
    for message, tensors in changes.items():
        save_file(tensors, path, metadata={"format": "pt"})
        with pytest.raises(CheckpointError, match=message):
            load_emulated(tmp_path)


def test_a_row_of_tokens_is_cut_into_runs_of_one_slot() -> None:
    runs = runs_of([0, 2, 2, 2, 1, 1], [7, 0, 1, 2, 4, 5])
    assert runs == [Run(0, 7, 0, 1), Run(2, 0, 1, 4), Run(1, 4, 4, 6)]
