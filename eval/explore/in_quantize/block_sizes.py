"""E2M1 under every block size and scale format: where NVFP4 and MXFP4 stand, and why.

The four scale formats: FP32 (no rounding of the scale), E4M3 under one FP32 scale per tensor (as
NVFP4: the tensor's scale is amax / (6 * 448)), FP16, and E8M0 (as MXFP4: the power of two
2^(floor(log2 amax) - 2), OCP Microscaling Formats 1.0, section 6.3).
"""

from collections.abc import Callable, Mapping

import torch

from eval.explore.explorer_figures import BlockPoint
from eval.explore.in_quantize.rounding_errors import snr_db
from quantize.formats.in_quantize.minifloat import E2M1, E4M3, FP16

SIZES = (8, 16, 32, 64, 128, 256, 512)
_LARGEST = 6.0
_LARGEST_E4M3 = 448.0
_SMALLEST_E4M3 = 2.0**-9
_EMAX = 2

Scale = Callable[[torch.Tensor], torch.Tensor]


def _exact(amax: torch.Tensor) -> torch.Tensor:
    return amax / _LARGEST


def _half(amax: torch.Tensor) -> torch.Tensor:
    return FP16.round(amax / _LARGEST)


def _two_level(amax: torch.Tensor) -> torch.Tensor:
    tensor_scale = amax.max() / (_LARGEST * _LARGEST_E4M3)
    block_scale = E4M3.round((amax / _LARGEST / tensor_scale).clamp(min=_SMALLEST_E4M3))
    return block_scale * tensor_scale


def _power_of_two(amax: torch.Tensor) -> torch.Tensor:
    return torch.exp2(amax.log2().floor() - _EMAX)


# Bits of one scale, and how it comes from the largest magnitude of its block.
SCALES: Mapping[str, tuple[int, Scale]] = {
    "FP32": (32, _exact),
    "FP16": (16, _half),
    "E4M3": (8, _two_level),
    "E8M0": (8, _power_of_two),
}


def block_points(data: str, x: torch.Tensor) -> list[BlockPoint]:
    """SNR of E2M1 on x (rows, K) for each block size that divides K and each scale format."""
    points = []
    for size in (*SIZES, None):
        if size is not None and x.shape[-1] % size:
            continue
        blocks = x.reshape(-1, x.numel() if size is None else size)
        amax = blocks.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        for name, (bits, scale_of) in SCALES.items():
            scale = scale_of(amax)
            db = snr_db(blocks, E2M1.round(blocks / scale) * scale)
            assert db is not None, "four bits never hold real data exactly"
            share = 0.0 if size is None else bits / size
            points.append(BlockPoint(data=data, scale=name, block=size, bits=4 + share, snr_db=db))
    return points
