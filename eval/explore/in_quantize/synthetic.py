"""Data whose distribution is known: a bell curve, heavy tails, and a few loud channels."""

import torch

from eval.explore.explorer_figures import DataSet
from eval.explore.in_quantize.rounding_errors import describe

ROWS, WIDTH = 256, 1024
DEGREES_OF_FREEDOM = 3
LOUD_SHARE, LOUDNESS = 1 / 128, 30.0
_SEED = 0


def synthetic() -> list[tuple[DataSet, torch.Tensor]]:
    """Each data set with its values, (ROWS, WIDTH) float32; the same ones on every call."""
    generator = torch.Generator().manual_seed(_SEED)
    gaussian = torch.randn(ROWS, WIDTH, generator=generator)
    # Student's t: a normal variable over the root of a chi-square one divided by its degrees.
    squares = torch.randn(DEGREES_OF_FREEDOM, ROWS, WIDTH, generator=generator).square()
    student = torch.randn(ROWS, WIDTH, generator=generator) / squares.mean(0).sqrt()
    channels = torch.randn(ROWS, WIDTH, generator=generator)
    loud = torch.randperm(WIDTH, generator=generator)[: int(WIDTH * LOUD_SHARE)]
    channels[:, loud] *= LOUDNESS
    rows = (
        ("gaussian", "Gaussian", "independent normal values", gaussian),
        (
            "student",
            "Student t",
            f"Student's t with {DEGREES_OF_FREEDOM} degrees of freedom: single outliers anywhere",
            student,
        ),
        (
            "channels",
            "Loud channels",
            f"normal values, {len(loud)} of {WIDTH} channels {LOUDNESS:.0f} times larger, "
            "as in the inputs of many language models' layers",
            channels,
        ),
    )
    return [(describe(name, label, made, [x]), x) for name, label, made, x in rows]
