"""Measure how fast a card reads its memory and multiplies matrices, by torch's own kernels.

Values are random: matrices of zeros draw less power, and so would be multiplied faster than any
model's. Reading is the better of a sum (reads alone) and a copy (reads and writes).
"""

import time
from collections.abc import Callable, Iterator
from statistics import median

import torch
from torch import Tensor

from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve
from services.gpus.rates_job import RATES, DeviceRates, RatesRequest

_WARM_UP = 3
# So many pieces of work are timed as one, so that emptying the queue is no part of them.
_AT_ONCE = 4
Clock = Callable[[Callable[[], object]], float]
"""Seconds that a piece of work takes, the device's queue emptied."""


def carry_out(request: RatesRequest, _: Callable[[Progress], None]) -> DeviceRates:
    """All rates of one device."""
    if request.device == "cuda" and not torch.cuda.is_available():
        raise BadRequest("this torch finds no GPU")
    device = torch.device(request.device)
    clock = _clock(device, request.repeats)
    properties = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
    return DeviceRates(
        name=properties.name if properties else "CPU",
        capability=f"{properties.major}.{properties.minor}" if properties else None,
        torch=torch.__version__,
        read_bytes_per_s=_read_rate(device, request.read_bytes, clock),
        matrix_flop_per_s=dict(_matrix_rates(device, request.size, clock)),
    )


def _clock(device: torch.device, repeats: int) -> Clock:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def once(work: Callable[[], object]) -> float:
        wait()
        began = time.perf_counter()
        for _ in range(_AT_ONCE):
            work()
        wait()
        return (time.perf_counter() - began) / _AT_ONCE

    def seconds(work: Callable[[], object]) -> float:
        for _ in range(_WARM_UP):
            work()
        return median(once(work) for _ in range(repeats))

    return seconds


def _read_rate(device: torch.device, size: int, clock: Clock) -> float:
    """Bytes per second."""
    block = torch.rand(size // 4, device=device)
    half = block[: block.numel() // 2]
    target = torch.empty_like(half)
    summed: float = block.nbytes / clock(block.sum)
    copied: float = 2 * half.nbytes / clock(lambda: target.copy_(half))
    return max(summed, copied)


def _matrix_rates(device: torch.device, size: int, clock: Clock) -> Iterator[tuple[str, float]]:
    """Operations per second of a square product, by the kind of its operands."""
    left, right = (torch.randn(size, size, device=device) for _ in range(2))
    for kind, product in _products(left, right).items():
        try:
            seconds = clock(product)
        except (RuntimeError, ValueError, NotImplementedError):
            continue  # this card or this torch has no such product
        yield kind, 2 * size**3 / seconds


def operands(left: Tensor, right: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """What is multiplied, by kind: matrices as engines hold them.

    Weights of eight bits lie column by column: cuBLASLt has its tensor-core kernels for them in
    that layout alone (``cublasLtMatmul``, the "TN" format), and others are ten times slower.
    """
    columns = right.t().contiguous().t()
    return {
        "bf16": (left.bfloat16(), right.bfloat16()),
        "fp8": (left.to(torch.float8_e4m3fn), columns.to(torch.float8_e4m3fn)),
        "int8": (_whole(left), _whole(columns)),
    }


def _whole(values: Tensor) -> Tensor:
    """Values of a normal distribution as whole numbers of eight bits, three deviations wide."""
    return (values * 42).round().clamp(-127, 127).to(torch.int8)


def _products(left: Tensor, right: Tensor) -> dict[str, Callable[[], Tensor]]:
    held = operands(left, right)
    found: dict[str, Callable[[], Tensor]] = {"bf16": lambda: torch.mm(*held["bf16"])}
    if left.device.type == "cuda":
        one = torch.ones((), device=left.device)
        found["fp8"] = lambda: torch._scaled_mm(
            *held["fp8"], scale_a=one, scale_b=one, out_dtype=torch.bfloat16
        )
        found["int8"] = lambda: torch._int_mm(*held["int8"])
    return found


if __name__ == "__main__":
    serve(RATES, carry_out)
