"""A device's rates are measured by torch in vLLM's environment, once, and kept.

covers: services/gpus/rates_job.py, services/gpus/in_vllm/measure_rates.py
"""

from pathlib import Path

import pytest

from services.gpus.kept_rates import device_rates
from services.gpus.rates_job import RatesRequest

SMALL = RatesRequest(device="cpu", read_bytes=1 << 24, size=128, repeats=3)


def never(line: str) -> None:
    raise AssertionError(line)


@pytest.mark.engine
def test_rates_are_measured_once_and_again_where_something_else_is_asked(tmp_path: Path) -> None:
    first = device_rates("GPU-a", never, request=SMALL, folder=tmp_path)
    assert first is not None
    assert first.read_bytes_per_s > 1e8
    assert first.matrix_flop_per_s.keys() == {"bf16"}
    assert first.matrix_flop_per_s["bf16"] > 1e7
    assert device_rates("GPU-a", never, busy=True, request=SMALL, folder=tmp_path) == first
    other = SMALL.model_copy(update={"size": 64})
    again = device_rates("GPU-a", never, request=other, folder=tmp_path)
    assert again is not None
    assert again != first


@pytest.mark.engine
def test_a_torch_without_a_gpu_is_told_in_one_line(tmp_path: Path) -> None:
    lines: list[str] = []
    request = RatesRequest(device="cuda")
    found = device_rates("GPU-a", lines.append, request=request, folder=tmp_path)
    if found is None:
        (line,) = lines
        assert "no distance from them is told" in line
        assert "this torch finds no GPU" in line
    assert (found is None) == (not (tmp_path / "GPU-a.json").exists())


def test_a_card_that_is_in_use_is_not_measured(tmp_path: Path) -> None:
    lines: list[str] = []
    assert device_rates("GPU-a", lines.append, busy=True, request=SMALL, folder=tmp_path) is None
    assert "a service is using it" in lines[0]
