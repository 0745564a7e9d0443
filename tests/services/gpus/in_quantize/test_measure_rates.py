"""The matrices that a card's rates are measured with lie as its fast kernels read them.

covers: services/gpus/in_vllm/measure_rates.py
"""

import torch

from services.gpus.in_vllm.measure_rates import operands

LEFT, RIGHT = torch.randn(2, 32, 16, generator=torch.Generator().manual_seed(0)).clamp(-3, 3)
HELD = operands(LEFT, RIGHT.t())


def test_eight_bits_are_multiplied_row_by_column_as_their_kernels_need_it() -> None:
    for kind, size in {"fp8": torch.float8_e4m3fn, "int8": torch.int8}.items():
        left, right = HELD[kind]
        assert (left.dtype, right.dtype) == (size, size)
        assert left.stride() == (16, 1)
        assert right.stride() == (1, 16)


def test_the_layout_changes_no_product() -> None:
    left, right = HELD["int8"]
    assert torch.equal(torch._int_mm(left, right), left.int() @ right.int())
    exact = LEFT @ RIGHT.t()
    for kind, scale in {"bf16": 1, "fp8": 1, "int8": 42**2}.items():
        left, right = (one.float() for one in HELD[kind])
        assert torch.allclose(left @ right / scale, exact, atol=0.8)


def test_whole_numbers_fill_the_range_and_do_not_leave_it() -> None:
    left, _ = operands(torch.full((8, 8), 9.0), torch.eye(8))["int8"]
    assert left.unique().tolist() == [127]
