"""The machine's device is read from nvidia-smi, and a machine without one is a CPU."""

from pathlib import Path

import pytest

from quantize.machine import (
    Gpu,
    Machine,
    device_of,
    free_gpu_bytes,
    parse_gpus,
    probe_machine,
    visible_gpus,
)


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


LINES = (
    "0, GPU-0a, 9.0, 143771, Disabled, 580.95.05, NVIDIA H200\n"
    "1, GPU-0b, 9.0, 143771, Enabled, 580.95.05, NVIDIA H200\n"
    "2, GPU-9b, 12.1, [N/A], [N/A], 580.95.05, NVIDIA GB10\n"
    "3, GPU-t4, 7.5, 15360, [N/A], 580.95.05, Tesla T4\n"
)


def test_gpus_are_read_with_their_memory_and_a_shared_memory_has_no_size() -> None:
    first, cut, shared = parse_gpus(LINES)
    assert first == Gpu(
        index=0,
        uuid="GPU-0a",
        name="NVIDIA H200",
        device="hopper",
        compute_capability="9.0",
        memory_bytes=143771 << 20,
        driver="580.95.05",
    )
    assert cut.mig
    assert (shared.device, shared.memory_bytes, shared.mig) == ("blackwell", None, False)
    assert shared.cuda_architecture == "121"
    assert parse_gpus("No devices were found\n") == []


@pytest.mark.parametrize(
    ("named", "indexes"),
    [
        (None, [0, 1, 2]),
        ("1,0", [1, 0]),
        ("GPU-9", [2]),
        ("1,-1,0", [1]),
        ("7", []),
        ("MIG-c6d4", [0, 1, 2]),
    ],
)
def test_a_process_sees_the_gpus_that_its_environment_names(
    named: str | None, indexes: list[int]
) -> None:
    assert [gpu.index for gpu in visible_gpus(parse_gpus(LINES), named)] == indexes


def fake_nvidia_smi(folder: Path, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_first_gpu_that_may_be_used_is_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = (
        "0, GPU-00, 9.0, 143771, Disabled, 590.44.01, NVIDIA H200\n"
        "1, GPU-01, 10.0, 183359, Disabled, 590.44.01, NVIDIA B200"
    )
    fake_nvidia_smi(tmp_path, f"echo '{answer}'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu.uuid for gpu in probe_machine().gpus] == ["GPU-00", "GPU-01"]
    assert probe_machine().device == "hopper"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert probe_machine().name == "NVIDIA B200"
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


def test_free_memory_is_that_of_the_gpu_asked_for_and_none_where_it_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\nprintf 'GPU-0a, 1024\\nGPU-9b, [N/A]\\n'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert free_gpu_bytes("GPU-0a") == 1 << 30
    assert free_gpu_bytes("GPU-9b") is None
    assert free_gpu_bytes("GPU-none") is None
    command.unlink()
    assert free_gpu_bytes("GPU-0a") is None
