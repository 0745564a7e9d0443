"""A million numbers in rows of 256 that try every branch of a block format's encoder."""

import torch


def hard_rows(rows: int = 4096) -> torch.Tensor:
    """Float32 (rows, 256): Gaussian, but for rows of zeros, outliers, tiny and equal numbers."""
    generator = torch.Generator().manual_seed(20)
    x = torch.randn(rows, 256, generator=generator)
    x[0] = 0.0
    x[1] = -0.0
    x[2] = 1.0
    x[3] = -1.0
    x[4] *= 1e-40  # subnormal in float32
    x[5] *= 1e-20
    x[6, 5] = 1e5  # one huge outlier
    x[7] = x[7].abs()
    x[8] = -x[8].abs()
    x[9, :32] = 0.0  # zeros beside numbers
    x[10] *= 1e-6
    x[11] *= 1e4
    x[12] = torch.arange(256) / 7
    x[13, 1::2] = 0.0
    x[100:200] *= torch.logspace(-8, 4, 100).unsqueeze(1)
    x[200:400] *= torch.exp(3 * torch.randn(200, 256, generator=generator))
    x[400:500] = x[400:500].bfloat16().float()
    x[500:600] = (4 * x[500:600]).round() / 4  # many ties
    return x
