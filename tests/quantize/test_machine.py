"""The machine's device is read from nvidia-smi, and a machine without one is a CPU."""

from pathlib import Path

import pytest

from quantize.machine import Machine, device_of, parse_gpus, probe_machine


@pytest.mark.parametrize(
    ("capability", "device"),
    [
        ("7.5", None),
        ("8.0", "ampere"),
        ("8.6", "ampere"),
        ("8.9", "ada"),
        ("9.0", "hopper"),
        ("10.0", "blackwell"),
        ("12.1", "blackwell"),
    ],
)
def test_a_compute_capability_names_its_architecture(capability: str, device: str | None) -> None:
    assert device_of(capability) == device


def test_gpus_are_read_with_their_memory_and_a_shared_memory_has_no_size() -> None:
    answer = "NVIDIA H200, 9.0, 143771\nNVIDIA GB10, 12.1, [N/A]\nTesla T4, 7.5, 15360\n"
    assert parse_gpus(answer) == [
        Machine(device="hopper", name="NVIDIA H200", memory_bytes=143771 << 20),
        Machine(device="blackwell", name="NVIDIA GB10"),
    ]


def fake_nvidia_smi(folder: Path, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_first_gpu_is_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvidia_smi(tmp_path, "echo 'NVIDIA B200, 10.0, 183359'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert probe_machine().device == "blackwell"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert probe_machine().device == "cpu"


@pytest.mark.parametrize("script", ["exit 9", "echo 'No devices were found'"])
def test_a_machine_whose_driver_does_not_answer_is_a_cpu(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_nvidia_smi(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert probe_machine() == Machine(device="cpu", name="CPU")


def test_a_machine_without_nvidia_smi_is_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert probe_machine().phrase == "a CPU"
