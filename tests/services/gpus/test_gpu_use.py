"""Which GPUs a process may use, which it does, and what it holds of them."""

import pytest

from services.gpus.gpu_use import GpuUse, used_by, visible_to

FIRST = GpuUse(index="0", uuid="GPU-aaaa-1", processes={7: 100, 8: 20})
SECOND = GpuUse(index="1", uuid="GPU-bbbb-2", processes={9: None})
BOTH = [FIRST, SECOND]


@pytest.mark.parametrize(
    ("variables", "indexes"),
    [
        ({}, ["0", "1"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"CUDA_VISIBLE_DEVICES": "1"}, ["1"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bbbb"}, ["1"]),
        ({"CUDA_VISIBLE_DEVICES": "1, 0"}, ["0", "1"]),
    ],
)
def test_only_gpus_that_the_engine_may_use_are_told(
    variables: dict[str, str], indexes: list[str]
) -> None:
    assert [gpu.index for gpu in visible_to(BOTH, variables)] == indexes


def test_the_gpus_of_an_engine_are_those_on_which_its_processes_compute() -> None:
    assert used_by(BOTH, {8, 99}, {}) == [FIRST]
    assert used_by(BOTH, {9}, {"CUDA_VISIBLE_DEVICES": "0"}) == [SECOND]


def test_where_the_driver_counts_processes_otherwise_they_are_those_that_it_may_use() -> None:
    assert used_by(BOTH, {1, 2}, {"CUDA_VISIBLE_DEVICES": "1"}) == [SECOND]


def test_what_processes_hold_is_summed_and_a_part_is_no_figure() -> None:
    assert FIRST.held_by({7, 8, 99}) == 120
    assert FIRST.held_by({99}) is None
    assert SECOND.held_by({9}) is None
