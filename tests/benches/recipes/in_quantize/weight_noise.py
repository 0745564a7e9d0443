"""How far decoded weights lie from the unquantized ones, as a signal-to-noise ratio."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

_MATCHING_PASSES = 3
# Folding a factor into a norm and out again in BF16 moves it by half a unit of its 8 bits.
_NORM_TOLERANCE = 2**-7


def read_reference(weights: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """The unquantized model's weights by name; held in BF16, as they were stored."""
    return {name: values.to(torch.bfloat16) for name, values in weights}


def is_rescaled(weights: Mapping[str, Tensor], reference: Mapping[str, Tensor]) -> bool:
    """Whether scales were folded into the norms (AWQ, SmoothQuant), and so out of the layers."""
    return any(
        not torch.allclose(values, reference[name].float(), rtol=_NORM_TOLERANCE)
        for name, values in weights.items()
        if "norm" in name
    )


def weight_snr_db(
    weights: Mapping[str, Tensor], reference: Mapping[str, Tensor], *, rescaled: bool
) -> float | None:
    """10 log10 of the energy of all linear layers' weights over that of their error, in dB.

    Weights are ``(out, in)``. Embedding and output layer are left out, as recipes leave them.
    ``rescaled`` layers are first matched per channel. None where nothing differs at all.
    """
    signal = noise = 0.0
    for name, values in weights.items():
        if values.ndim != 2 or ".layers." not in name or not name.endswith("weight"):
            continue
        exact = reference[name].float()
        error = (matched(values, exact) if rescaled else values) - exact
        signal += float(exact.double().square().sum())
        noise += float(error.double().square().sum())
    return 10 * math.log10(signal / noise) if noise else None


def matched(values: Tensor, exact: Tensor) -> Tensor:
    """``values`` with every input and output channel scaled to lie nearest to ``exact``.

    Alternating least squares: factor of a channel = <values, exact> / <values, values>.
    """
    for _ in range(_MATCHING_PASSES):
        for axis in (0, 1):
            products = (values * exact).sum(dim=axis, keepdim=True)
            squares = values.square().sum(dim=axis, keepdim=True).clamp_min(1e-30)
            values = values * (products / squares)
    return values
