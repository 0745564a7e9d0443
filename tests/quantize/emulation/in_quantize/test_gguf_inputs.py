"""Inputs as llama.cpp's kernels see them."""

import torch
from torch import nn

from quantize.emulation.in_quantize.gguf_inputs import EightBitInputs, round_inputs


def rounded(inputs: torch.Tensor, block: int) -> torch.Tensor:
    return EightBitInputs(block)(nn.Identity(), (inputs,))[0]


def test_every_block_keeps_its_largest_value_and_moves_no_other_by_more_than_half_a_step() -> None:
    inputs = torch.randn(3, 512, generator=torch.Generator().manual_seed(1))
    inputs[0, 5] = 60
    for block, exactness in ((256, 1e-6), (32, 1e-3)):
        found = rounded(inputs, block)
        steps = inputs.unflatten(-1, (-1, block)).abs().amax(dim=-1) / 127
        moved = (found - inputs).unflatten(-1, (-1, block)).abs().amax(dim=-1)
        assert (moved <= steps * (0.5 + 127 * exactness)).all()
        assert (moved > steps * 0.3).all()
        assert torch.isclose(found[0, 5], inputs[0, 5], rtol=exactness)


def test_a_block_of_zeros_stays_zero() -> None:
    assert not rounded(torch.zeros(1, 64), 32).any()


def test_layers_round_by_the_type_of_their_weights_and_a_shared_output_by_the_embeddings() -> None:
    layers = {name: nn.Linear(256, 4) for name in ("stored", "plain", "lm_head")}
    model = nn.ModuleDict(layers)
    kinds = {"stored.weight": "Q4_K", "plain.weight": "F32", "model.embed_tokens.weight": "Q8_0"}
    round_inputs(model, kinds)
    hooks = {name: list(layer._forward_pre_hooks.values()) for name, layer in layers.items()}
    assert hooks == {
        "stored": [EightBitInputs(256)],
        "plain": [],
        "lm_head": [EightBitInputs(32)],
    }
