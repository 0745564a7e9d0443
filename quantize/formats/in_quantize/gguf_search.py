"""The small searches by which ggml's K-quants choose a group's scale.

After ``make_qx_quants`` and ``make_qkx2_quants`` of ggml's ``ggml-quants.c``, the reference
quantizers without an importance matrix. To choose as ggml does, bit by bit, every step is taken in
float32 and every sum in ggml's order; the groups stand in the columns, so that each step works on
all of them at once.
"""

import numpy as np
import torch
from torch import Tensor

_ROUNDING_ANCHOR = 12582912.0  # 1.5 * 2^23: its last place is 1
_NEGLIGIBLE = 1e-15


def nearest_int(x: Tensor) -> Tensor:
    """int32 of the nearest integer, ties to even; as ggml's where |x| exceeds 2^22, too."""
    return ((x + _ROUNDING_ANCHOR).view(torch.int32) & 0x7FFFFF) - 0x400000


def quotient(dividend: float, divisor: Tensor) -> Tensor:
    """One correctly rounded division; ``dividend / divisor`` would take the reciprocal first."""
    return torch.div(torch.tensor(dividend, device=divisor.device), divisor)


def sum_in_order(terms: Tensor) -> Tensor:
    """The sum over the first axis, one term after the other."""
    total = terms[0].clone()
    for term in terms[1:]:
        total += term
    return total


def first_largest(x: Tensor) -> Tensor:
    """The element of largest magnitude along the first axis, with its sign; the first of equals."""
    return x.gather(0, x.abs().argmax(0, keepdim=True)).squeeze(0)


def search_scale(x: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """Scales without an offset, by the error weighted with the squares of the numbers.

    Args:
        x: float32 (n, groups).
        top: codes run from -top to top - 1.

    Returns:
        The scales (groups,), signed, and the codes int32 (n, groups). A negligible group has the
        scale 0 and, as in ggml, codes of -top.
    """
    largest = first_largest(x)
    weights = x * x
    weighted = weights * x

    def fit(widening: int) -> tuple[Tensor, Tensor, Tensor]:
        span = -(np.float32(top) + np.float32(0.1) * np.float32(widening))
        codes = nearest_int(x * quotient(float(span), largest)).clamp(-top, top - 1)
        numbers = codes.to(torch.float32)
        return (
            codes,
            sum_in_order(weighted * numbers),
            sum_in_order(weights * numbers * numbers),
        )

    codes, sum_lx, sum_l2 = fit(0)
    scale = torch.where(sum_l2 != 0, sum_lx / sum_l2, 0.0)
    best = scale * sum_lx
    for widening in (*range(-9, 0), *range(1, 10)):
        tried, sum_lx, sum_l2 = fit(widening)
        better = (sum_l2 > 0) & (sum_lx * sum_lx > best * sum_l2)
        codes = torch.where(better, tried, codes)
        scale = torch.where(better, sum_lx / sum_l2, scale)
        best = torch.where(better, scale * sum_lx, best)
    negligible = largest.abs() < _NEGLIGIBLE
    return scale.masked_fill(negligible, 0.0), codes.masked_fill(negligible, -top)


def search_scale_and_minimum(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scales and offsets for codes from 0 to 15, by the weighted squared error.

    Args:
        x: float32 (n, groups).
        weights: positive, of the same shape.

    Returns:
        The scales and the minima's magnitudes (groups,), a number being ``scale * code - minimum``,
        and the codes int32 (n, groups).
    """
    top = 15
    sum_w, sum_x = sum_in_order(weights), sum_in_order(weights * x)
    lowest, highest = x.amin(0).clamp(max=0), x.amax(0)
    flat = highest == lowest

    def codes_for(inverse: Tensor, minimum: Tensor) -> Tensor:
        return nearest_int(inverse * (x - minimum)).clamp(0, top)

    def error(scale: Tensor, minimum: Tensor, numbers: Tensor) -> Tensor:
        difference = scale * numbers + minimum - x
        return sum_in_order(weights * (difference * difference))

    inverse = quotient(float(top), highest - lowest)
    codes, scale, minimum = codes_for(inverse, lowest), 1 / inverse, lowest
    best = error(scale, minimum, codes.to(torch.float32))
    for step in range(21):
        span = np.float32(-1) + np.float32(0.1) * np.float32(step) + np.float32(top)
        # Every step starts from the best minimum found so far.
        tried = codes_for(quotient(float(span), highest - minimum), minimum)
        numbers = tried.to(torch.float32)
        weighted = weights * numbers
        sum_l = sum_in_order(weighted)
        sum_l2 = sum_in_order(weighted * numbers)
        sum_xl = sum_in_order(weighted * x)
        determinant = sum_w * sum_l2 - sum_l * sum_l
        new_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant
        new_minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant
        above = new_minimum > 0
        new_scale = torch.where(above, sum_xl / sum_l2, new_scale)
        new_minimum = new_minimum.masked_fill(above, 0.0)
        new_error = error(new_scale, new_minimum, numbers)
        better = (determinant > 0) & (new_error < best)
        codes = torch.where(better, tried, codes)
        scale = torch.where(better, new_scale, scale)
        minimum = torch.where(better, new_minimum, minimum)
        best = torch.where(better, new_error, best)
    minimum = torch.where(flat, lowest, minimum)
    return scale.masked_fill(flat, 0.0), -minimum, codes.masked_fill(flat, 0)
