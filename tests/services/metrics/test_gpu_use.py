"""nvidia-smi's answers, in SI units, for the GPUs that an engine may use."""

from pathlib import Path

import pytest

from services.metrics.gpu_use import GpuUse, parse_gpu_use, read_gpu_use, visible_to
from services.metrics.variant_metrics import gpu_values

ANSWER = """\
0, GPU-aaaa-1, 37, 40210, 81559, 312.45
1, GPU-bbbb-2, 0, 4, 81559, 71.02
"""
UNKNOWN = "0, GPU-cccc-3, 12, [N/A], [N/A], [Not Supported]\n"


def test_percent_and_mebibytes_become_a_ratio_and_bytes() -> None:
    first, second = parse_gpu_use(ANSWER)
    assert first == GpuUse(
        index="0",
        uuid="GPU-aaaa-1",
        used_ratio=0.37,
        memory_used_bytes=40210 << 20,
        memory_bytes=81559 << 20,
        power_watts=312.45,
    )
    assert second.used_ratio == 0


def test_what_a_gpu_does_not_tell_is_left_out() -> None:
    values = gpu_values(parse_gpu_use(UNKNOWN))
    assert values == {"assay_gpu_used_ratio": {("0",): 0.12}}


def test_other_lines_are_no_gpus() -> None:
    assert parse_gpu_use("No devices were found\n\n") == []
    assert gpu_values([]) == {}


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
    assert [gpu.index for gpu in visible_to(parse_gpu_use(ANSWER), variables)] == indexes


def _install(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_the_tool_is_asked_and_its_failure_means_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, f"printf '{ANSWER}'", monkeypatch)
    assert [gpu.index for gpu in read_gpu_use({})] == ["0", "1"]
    _install(tmp_path, "echo no driver; exit 9", monkeypatch)
    assert read_gpu_use({}) == []


def test_a_machine_without_the_tool_has_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_gpu_use({}) == []
