"""The signal-to-noise ratio of decoded weights."""

import torch

from tests.benches.recipes.in_quantize.weight_noise import is_rescaled, weight_snr_db

LAYER, NORM = "model.layers.0.mlp.up_proj.weight", "model.layers.0.input_layernorm.weight"


def weights(layer: torch.Tensor, norm: float = 1.0) -> dict[str, torch.Tensor]:
    return {LAYER: layer, NORM: torch.full((8,), norm), "lm_head.weight": layer * 0}


def test_noise_of_a_tenth_is_twenty_decibels() -> None:
    exact = torch.ones(64, 8)
    noisy = exact + 0.1 * torch.tensor([1.0, -1.0]).repeat(4)
    found = weight_snr_db(weights(noisy), weights(exact), rescaled=False)
    assert found is not None
    assert abs(found - 20) < 1e-4


def test_equal_weights_have_no_noise() -> None:
    exact = torch.randn(64, 8)
    assert weight_snr_db(weights(exact), weights(exact), rescaled=False) is None


def test_scales_moved_into_norms_are_seen_and_matched() -> None:
    generator = torch.Generator().manual_seed(0)
    exact = torch.randn(64, 8, generator=generator)
    noise = 0.01 * torch.randn(64, 8, generator=generator)
    factors = torch.rand(8, generator=generator) + 0.5
    moved = weights((exact + noise) * factors, norm=0.5)
    reference = weights(exact)
    assert is_rescaled(moved, reference)
    assert not is_rescaled(weights(exact), reference)
    unmatched = weight_snr_db(moved, reference, rescaled=False)
    found = weight_snr_db(moved, reference, rescaled=True)
    assert unmatched is not None
    assert found is not None
    assert unmatched < 15
    assert 39 < found < 42
