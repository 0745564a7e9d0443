"""What rounding does to a data set: SNR and the distribution of the errors' sizes."""

import math
from collections.abc import Sequence
from statistics import median

import torch

from eval.explore.explorer_figures import DataSet, Histogram, Snr
from eval.explore.in_quantize.explored_format import Format

LOW, HIGH, BINS = -6.0, 1.0, 84


def snr_db(x: torch.Tensor, rounded: torch.Tensor) -> float | None:
    """10 log10(sum x^2 / sum (x - rounded)^2) in dB, summed in float64; None without any error."""
    noise = float((x.double() - rounded.double()).square().sum())
    return None if noise == 0 else 10 * math.log10(float(x.double().square().sum()) / noise)


def crest(x: torch.Tensor) -> float:
    """The largest magnitude over the root mean square: 1 for a constant, large for outliers."""
    return float(x.abs().max() / x.double().square().mean().sqrt())


def describe(name: str, label: str, made: str, tensors: Sequence[torch.Tensor]) -> DataSet:
    """The data set's entry in the file."""
    return DataSet(
        name=name,
        label=label,
        made=made,
        tensors=len(tensors),
        crest=median(crest(x) for x in tensors),
    )


def measure(
    data: str, tensors: Sequence[torch.Tensor], form: Format
) -> tuple[Snr, Histogram] | None:
    """SNR and histogram of a format over tensors (..., K); None where no row fits its blocks."""
    decibels: list[float | None] = []
    counts = torch.zeros(BINS, dtype=torch.float64)
    exact = values = 0
    for x in tensors:
        if not form.fits(x.shape[-1]):
            continue
        rounded = form.round(x)
        decibels.append(snr_db(x, rounded))
        error = (x - rounded).abs() / x.square().mean().sqrt()
        wrong = error[error > 0].log10()
        counts += torch.histc(wrong, BINS, LOW, HIGH).double()
        exact += x.numel() - wrong.numel()
        values += x.numel()
    if not decibels:
        return None
    middle, low, high = _spread(decibels)
    snr = Snr(data=data, format=form.name, median_db=middle, low_db=low, high_db=high)
    histogram = Histogram(
        data=data,
        format=form.name,
        low=LOW,
        high=HIGH,
        counts=tuple((counts / values).tolist()),
        exact=exact / values,
    )
    return snr, histogram


def _spread(decibels: Sequence[float | None]) -> tuple[float | None, float | None, float | None]:
    """Median, lowest and highest; a tensor without any error counts as infinitely good."""
    ordered = sorted(math.inf if value is None else value for value in decibels)
    found = (median(ordered), ordered[0], ordered[-1])
    middle, low, high = (None if math.isinf(value) else value for value in found)
    return middle, low, high
