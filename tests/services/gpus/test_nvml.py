"""NVIDIA's library is asked in its units and told in SI; what it does not know is no figure."""

import importlib
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from quantize.root import ROOT
from services.gpus import nvml
from services.gpus.nvml import read_gpus
from tests.services.gpus.recorded import H200, IDLE, NOT_SUPPORTED, SPARK, Nvml

# Loads the binding wherever it is, and says from where and whether there is a driver.
PROGRAM = """
from services.gpus.nvml import load_binding, open_nvml, read_gpus
binding = load_binding()
print(binding is not None, open_nvml() is not None, len(read_gpus()))
"""


def test_a_card_is_told_in_si_units() -> None:
    (gpu,) = read_gpus(Nvml(H200))
    assert (gpu.index, gpu.uuid, gpu.name) == ("0", "GPU-aaaa-1", "NVIDIA H200")
    assert (gpu.used_ratio, gpu.power_watts, gpu.energy_joules) == (0.97, 665, 5000.25)
    assert (gpu.memory_used_bytes, gpu.memory_bytes) == (120 << 30, 140 << 30)
    assert (gpu.sm_clock_hertz, gpu.unified) == (1.905e9, False)
    assert gpu.throttled == frozenset({"power cap", "thermal, by software"})
    assert gpu.processes == {4242: 118 << 30}


def test_the_binding_of_a_python_behind_an_environment_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, packages = tmp_path / "image", tmp_path / "venvs/vllm/lib/python3.12/site-packages"
    image.mkdir()
    packages.mkdir(parents=True)
    (image / "pynvml.py").write_text("FROM = 'the image'\n")
    (packages / "system.pth").write_text(f"import site; site.addsitedir({str(image)!r})\n")
    monkeypatch.setattr(nvml, "VENVS", tmp_path / "venvs")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    binding = nvml.load_binding()
    assert binding is not None
    assert binding.FROM == "the image"


def test_only_the_cards_that_are_named_are_read() -> None:
    assert [gpu.index for gpu in read_gpus(Nvml(H200, IDLE), only={"GPU-bbbb-2"})] == ["1"]


def test_an_idle_card_is_not_throttled() -> None:
    _, gpu = read_gpus(Nvml(H200, IDLE))
    assert (gpu.index, gpu.throttled, gpu.processes) == ("1", frozenset(), {})


def test_a_card_that_shares_the_machines_memory_has_all_of_it_and_no_energy() -> None:
    (gpu,) = read_gpus(Nvml(SPARK))
    assert gpu.unified
    assert gpu.memory_bytes == psutil.virtual_memory().total
    assert gpu.memory_used_bytes is not None
    assert 0 < gpu.memory_used_bytes < gpu.memory_bytes
    assert (gpu.uuid, gpu.energy_joules, gpu.power_watts) == ("GPU-cccc-3", None, 665)
    assert gpu.processes == {4242: None}


def test_a_driver_or_a_library_that_lacks_a_figure_gives_none() -> None:
    old = {key: value for key, value in H200.items() if "Reasons" not in key}
    silent = old | {
        "nvmlDeviceGetClockInfo": NOT_SUPPORTED,
        "nvmlDeviceGetPowerUsage": NOT_SUPPORTED,
    }
    (gpu,) = read_gpus(Nvml(silent))
    assert (gpu.throttled, gpu.sm_clock_hertz, gpu.power_watts) == (None, None, None)


def test_the_binding_is_found_in_another_environment_and_a_missing_driver_means_no_gpus() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found, opened, gpus = told.stdout.split()
    assert found == "True"
    assert (opened == "True") == (int(gpus) > 0)


def test_a_machine_without_the_binding_has_no_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    monkeypatch.setattr(nvml, "VENVS", tmp_path)
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    assert nvml.load_binding() is None
