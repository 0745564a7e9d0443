"""Weights that were rounded or smoothed are still the source's; others are not."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from quantize.agreement.in_quantize.kept_weights import farthest_weight, residual
from quantize.agreement.probe import ArtifactToProbe

NAME = "model.layers.0.mlp.up_proj.weight"
TABLE = "model.embed_tokens.weight"


def weight(seed: int = 0) -> Tensor:
    return torch.randn(96, 64, generator=torch.Generator().manual_seed(seed)) * 0.05


def rounded(values: Tensor, bits: int, group: int = 32) -> Tensor:
    """To the nearest of the levels of a symmetric scale per group of inputs."""
    blocks = values.reshape(values.shape[0], -1, group)
    scale = blocks.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 0.5)
    return ((blocks / scale).round() * scale).reshape(values.shape)


def item(bits: int, folder: Path = Path()) -> ArtifactToProbe:
    return ArtifactToProbe(recipe="some", artifact=folder, bits=bits)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_rounded_weights_are_the_sources_and_other_weights_are_not(bits: int) -> None:
    source = {NAME: weight()}
    kept = farthest_weight(item(bits), {NAME: rounded(weight(), bits)}, source)
    other = farthest_weight(item(bits), {NAME: rounded(weight(1), bits)}, source)
    assert kept is not None
    assert kept.residual < kept.limit
    assert other is not None
    assert other.residual > other.limit


def test_scales_that_move_between_layers_change_nothing() -> None:
    rows = torch.rand(96, 1, generator=torch.Generator().manual_seed(2)) + 0.1
    columns = torch.rand(1, 64, generator=torch.Generator().manual_seed(3)) * 5 + 0.1
    assert residual(weight() * columns * rows, weight()) < 0.01
    assert residual(weight(1) * columns, weight()) > 0.9


def test_a_table_that_stays_unquantized_is_held_to_its_own_16_bits() -> None:
    """An older checkpoint of the same model: every value off by three per cent of their size."""
    older = weight() + 0.03 * weight(1)
    found = farthest_weight(
        item(4), {TABLE: older, NAME: rounded(older, 4)}, {TABLE: weight(), NAME: weight()}
    )
    assert found is not None
    assert (found.name, found.residual > found.limit) == (TABLE, True)


def test_the_table_of_a_gguf_is_quantized_too(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"")
    found = farthest_weight(item(4, tmp_path), {TABLE: rounded(weight(), 4)}, {TABLE: weight()})
    assert found is not None
    assert found.residual < found.limit


def test_a_table_that_was_trained_along_is_near_the_sources() -> None:
    trained = ArtifactToProbe(recipe="some", artifact=Path(), bits=4, trained=True)
    found = farthest_weight(trained, {TABLE: weight() + 0.2 * weight(1)}, {TABLE: weight()})
    assert found is not None
    assert found.residual < found.limit


def test_norms_and_weights_of_other_names_say_nothing() -> None:
    vectors = {"model.norm.weight": torch.ones(64)}
    assert farthest_weight(item(4), vectors, {"model.norm.weight": torch.zeros(64)}) is None
    assert farthest_weight(item(4), {"another": weight()}, {NAME: weight()}) is None
