"""Asks NVIDIA's management library (NVML) through NVIDIA's own binding, ``nvidia-ml-py``.

The binding is one file of pure Python that the environments with torch bring along; where this one
has none, theirs is loaded. Without it, or without a driver, there are no GPUs to tell of.
"""

import importlib
import importlib.util
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from quantize.root import VENVS
from services.gpus.gpu_use import GpuUse

_NAME = "pynvml"
# Bits of nvmlDeviceGetCurrentClocksEventReasons (nvml.h). Idle is no reason, and the clocks that
# somebody asked for (2, 0x100) are not below what they could be.
_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "thermal, by software",
    0x40: "thermal, by hardware",
    0x80: "power brake",
}
_MHZ = 1e6


@cache
def open_nvml() -> Any | None:
    """The binding, its library opened; None where either is missing."""
    binding = load_binding()
    if binding is None:
        return None
    try:
        binding.nvmlInit()
    except binding.NVMLError:
        return None
    return binding


def load_binding() -> Any | None:
    """The binding's module, this environment's own or another's; None where there is none."""
    try:
        return importlib.import_module(_NAME)
    except ImportError:
        pass
    for path in _elsewhere():
        spec = importlib.util.spec_from_file_location(_NAME, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # It looks itself up there while it is loaded.
        sys.modules[_NAME] = module
        spec.loader.exec_module(module)
        return module
    return None


def _elsewhere() -> Iterator[Path]:
    """The binding in our other environments, and beside the Python that they are made from."""
    name = f"{_NAME}.py"
    yield from sorted(VENVS.glob(f"*/lib/python3*/site-packages/{name}"))
    for folder in _seen_behind():
        yield from sorted(Path(folder).glob(name))
    yield from sorted(Path(sys.base_prefix).glob(f"lib/python3*/*-packages/{name}"))
    yield from sorted(Path(sys.base_prefix).glob(f"local/lib/python3*/*-packages/{name}"))


def _seen_behind() -> Iterator[str]:
    """The folders that environments see behind their own: those of a Python that holds a torch."""
    for path in sorted(VENVS.glob("*/lib/python3*/site-packages/system.pth")):
        yield from re.findall(r"addsitedir\('([^']+)'\)", path.read_text())


def read_gpus(nvml: Any | None = None, *, only: Collection[str] | None = None) -> list[GpuUse]:
    """All GPUs of this machine, or those of some UUIDs; no driver means none.

    Blocks for a few milliseconds for each.
    """
    nvml = nvml or open_nvml()
    if nvml is None:
        return []
    count = _told(nvml, nvml.nvmlDeviceGetCount) or 0
    handles = [_told(nvml, nvml.nvmlDeviceGetHandleByIndex, index) for index in range(count)]
    return [
        _read(nvml, handle, index)
        for index, handle in enumerate(handles)
        if handle is not None
        and (only is None or _text(_told(nvml, nvml.nvmlDeviceGetUUID, handle)) in only)
    ]


def _read(nvml: Any, handle: Any, index: int) -> GpuUse:
    def ask(name: str, *words: Any) -> Any:
        return _told(nvml, getattr(nvml, name, None), handle, *words)

    use, power = ask("nvmlDeviceGetUtilizationRates"), ask("nvmlDeviceGetPowerUsage")
    before_s = time.monotonic()
    energy = ask("nvmlDeviceGetTotalEnergyConsumption")
    after_s = time.monotonic()
    used, total, unified = _memory(ask("nvmlDeviceGetMemoryInfo"))
    return GpuUse(
        index=str(index),
        uuid=_text(ask("nvmlDeviceGetUUID")),
        name=_text(ask("nvmlDeviceGetName")),
        used_ratio=None if use is None else use.gpu / 100,
        memory_used_bytes=used,
        memory_bytes=total,
        unified=unified,
        power_watts=None if power is None else power / 1000,
        energy_joules=None if energy is None else energy / 1000,
        read_at_s=(before_s + after_s) / 2,
        sm_clock_hertz=_hertz(ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM)),
        memory_clock_hertz=_hertz(ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM)),
        throttled=_reasons(ask("nvmlDeviceGetCurrentClocksEventReasons")),
        processes={
            process.pid: process.usedGpuMemory
            for process in ask("nvmlDeviceGetComputeRunningProcesses") or ()
        },
    )


def _told(nvml: Any, function: Callable[..., Any] | None, *words: Any) -> Any:
    """What a function answers; None where this GPU, driver or library has no answer."""
    if function is None:
        return None
    try:
        return function(*words)
    except nvml.NVMLError:
        return None


def _memory(info: Any) -> tuple[int, int, bool]:
    """Used, all, and whether it is the machine's own (DGX Spark), which NVML does not tell."""
    if info is not None:
        return int(info.used), int(info.total), False
    machine = psutil.virtual_memory()
    return machine.total - machine.available, machine.total, True


def _text(told: Any) -> str:
    return told.decode() if isinstance(told, bytes) else str(told or "")


def _hertz(megahertz: int | None) -> float | None:
    return None if megahertz is None else megahertz * _MHZ


def _reasons(bits: int | None) -> frozenset[str] | None:
    if bits is None:
        return None
    return frozenset(words for bit, words in _REASONS.items() if bits & bit)
