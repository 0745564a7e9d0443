"""What set-up finds on a machine: driver, GPUs, processor, compiler, a Python that holds a torch.

The parsing is pure; only ``look`` asks. Standard library only.
"""

import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.setup.system_torch import SystemPython, read_system_python
from quantize.machine import Gpu, probe_gpus

# The least driver of a CUDA major version (NVIDIA, CUDA Toolkit release notes, "Corresponding
# Driver Versions"): later minor versions run on it as well.
_LEAST_DRIVER = ((580, 13), (525, 12), (450, 11))
_CUDA = re.compile(r"CUDA (?:UMD )?Version\s*:\s*(\d+)\.\d+")
_DRIVER = re.compile(r"(?:Driver|KMD|DRIVER) [Vv]ersion\s*:\s*([\d.]+)")
_TIMEOUT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A machine as set-up sees it.

    ``cuda_major`` is the newest CUDA that the driver runs; None: no driver answers. ``nvcc`` is
    the version of CUDA's compiler, major and minor. ``system`` is a Python that already holds a
    CUDA torch.
    """

    processor: str
    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda_major: int | None = None
    nvcc: tuple[int, int] | None = None
    system: SystemPython | None = None

    @property
    def phrase(self) -> str:
        """One line: what was found."""
        if not self.gpus:
            return f"no NVIDIA GPU that the engines know, {self.processor}" + (
                f" (driver {self.driver})" if self.driver else ""
            )
        first = self.gpus[0]
        names = ", ".join(
            f"{self._count(name)}{name}" for name in dict.fromkeys(gpu.name for gpu in self.gpus)
        )
        memory = (
            f"{first.memory_bytes / 2**30:.0f} GiB"
            if first.memory_bytes
            else "memory shared with the system"
        )
        return (
            f"{names} (compute capability {first.compute_capability}, {memory}), driver "
            f"{self.driver or first.driver}, CUDA {self.cuda_major or 'unknown'}, {self.processor}"
        )

    def _count(self, name: str) -> str:
        count = sum(gpu.name == name for gpu in self.gpus)
        return f"{count} x " if count > 1 else ""


def parse_driver(told: str) -> tuple[str | None, int | None]:
    """Driver and newest CUDA major version in what plain ``nvidia-smi`` prints; None: not told."""
    driver, cuda = _DRIVER.search(told), _CUDA.search(told)
    version = driver[1] if driver else None
    return version, int(cuda[1]) if cuda else cuda_of_driver(version)


def cuda_of_driver(driver: str | None) -> int | None:
    """The newest CUDA major version that a driver (``580.95.05``) runs."""
    branch = int((driver or "0").partition(".")[0])
    return next((cuda for least, cuda in _LEAST_DRIVER if branch >= least), None)


def parse_nvcc(told: str) -> tuple[int, int] | None:
    """The version in what ``nvcc --version`` prints."""
    found = re.search(r"release (\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else None


def look(system_python: Path | None = None) -> Findings:
    """Ask this machine; blocks for seconds where it has a GPU. Never fails.

    Args:
        system_python: where to look for a CUDA torch; None: the Python that runs this.
    """
    processor = platform.machine()
    told = _output("nvidia-smi")
    driver, cuda_major = parse_driver(told)
    gpus = tuple(probe_gpus())
    if not gpus:
        return Findings(processor=processor, driver=driver)
    nvcc = shutil.which("nvcc")
    return Findings(
        processor=processor,
        gpus=gpus,
        driver=driver,
        cuda_major=cuda_major,
        nvcc=parse_nvcc(_output(nvcc, "--version")) if nvcc else None,
        system=read_system_python(system_python or Path(sys.executable)),
    )


def _output(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""
