"""From what was found on a machine to the builds that its environments get: pure.

A build is what an engine was compiled for. Its locks lie in ``deploy/envs/<build>/``; an
environment that has none there is the same in every build. Both processors (x86-64 and 64-bit Arm)
share a lock, whose markers tell them apart.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from deploy.setup.findings import Findings
from deploy.setup.system_torch import VLLM_OF_TORCH, SystemPython

BuildName = Literal["cpu", "cuda12", "cuda13", "system-torch"]
BUILDS: tuple[BuildName, ...] = get_args(BuildName)

# PyPI's torch for CUDA 12 is a CPU build on 64-bit Arm.
_PROCESSORS = {"cuda12": ("x86_64",), "cuda13": ("x86_64", "aarch64")}
_ARCHITECTURES = re.compile(r"\d{2,3}[af]?(;\d{2,3}[af]?)*")
# The first compiler that knows a compute capability (NVIDIA, CUDA release notes).
_COMPILERS = ((12.1, (12, 9)), (12.0, (12, 8)), (10.3, (12, 9)), (10.0, (12, 8)), (9.0, (11, 8)))


class BuildError(ValueError):
    """No build fits; the message says why and what would."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """What the environments of a checkout are built for.

    ``asked``: by the user, so that set-up does not choose anew. ``llama_cuda`` are the CUDA
    architectures that llama.cpp is compiled for (``90``, ``90;120``); empty: for the CPU. ``gpus``
    are those of this machine's GPUs, so that what is installed can be proven on them.
    """

    name: BuildName = "cpu"
    asked: bool = False
    llama_cuda: str = ""
    gpus: tuple[str, ...] = ()
    system: SystemPython | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A build, with the reasons that are printed."""

    build: Build
    reasons: tuple[str, ...]


def choose_build(
    found: Findings, asked: str | None = None, architectures: str | None = None
) -> Choice:
    """The build for a machine, or the one that the user asked for.

    Args:
        found: the machine.
        asked: a build's name; None: choose.
        architectures: what llama.cpp is compiled for (``90;120``); None: this machine's GPUs.

    Raises:
        BuildError: what was asked for cannot run here, or no vLLM fits the system's torch.
    """
    if asked is not None:
        name, why = _asked(asked, found), "as asked"
    else:
        name, why = _best(found)
    system = _fitting(found.system) if name == "system-torch" else None
    llama, llama_why = _llama(name, found, architectures)
    reasons = (f"engines: {_told(name, system)}{f' ({why})' if why else ''}", llama_why)
    build = Build(
        name=name,
        asked=asked is not None,
        llama_cuda=llama,
        gpus=_architectures(found),
        system=system,
    )
    return Choice(build=build, reasons=reasons)


def _asked(asked: str, found: Findings) -> BuildName:
    if asked == "system-torch" and found.system is None:
        raise BuildError("--build system-torch: this Python holds no torch that is built for CUDA")
    for name in BUILDS:
        if asked == name and found.processor in _PROCESSORS.get(name, (found.processor,)):
            return name
    here = [n for n in BUILDS if found.processor in _PROCESSORS.get(n, (found.processor,))]
    raise BuildError(f"--build {asked}: no such build on {found.processor}: {', '.join(here)}")


def _best(found: Findings) -> tuple[BuildName, str]:
    """The build that uses the machine best, and why it is not a better one."""
    if not found.gpus:
        return "cpu", ""
    if found.cuda_major is None or found.cuda_major < 12:
        runs = f"runs CUDA {found.cuda_major} at most" if found.cuda_major else "does not answer"
        return "cpu", f"the driver {runs}; driver 525 or newer lets the engines use the GPU"
    if found.system is not None:
        return "system-torch", ""
    name: BuildName = "cuda13" if found.cuda_major >= 13 else "cuda12"
    if found.processor in _PROCESSORS[name]:
        return name, "" if name == "cuda13" else "driver 580 or newer runs CUDA 13"
    if found.processor in _PROCESSORS["cuda13"]:
        return "cpu", f"there are no CUDA 12 builds for {found.processor}; driver 580 runs CUDA 13"
    return "cpu", f"there are no CUDA builds for {found.processor}"


def _fitting(system: SystemPython | None) -> SystemPython:
    assert system is not None
    if system.vllm is None:
        table = ", ".join(f"torch {torch} (vLLM {vllm})" for torch, vllm in VLLM_OF_TORCH.items())
        raise BuildError(
            f"{system.executable} holds torch {system.torch}, for which no vLLM release is known; "
            f"known: {table}. --build cuda13 installs a torch of its own beside it"
        )
    return system


def _told(name: BuildName, system: SystemPython | None) -> str:
    if system is not None:
        return f"vLLM {system.vllm} on the torch {system.torch} of {system.executable}"
    return {"cpu": "CPU builds", "cuda12": "CUDA 12 builds", "cuda13": "CUDA 13 builds"}[name]


def _llama(name: BuildName, found: Findings, architectures: str | None) -> tuple[str, str]:
    """CUDA architectures for llama.cpp's compiler (empty: none), and what is said of it."""
    cpu = "llama.cpp: CPU build"
    if name == "cpu":
        return "", cpu
    wanted = architectures or ";".join(_architectures(found))
    if not wanted:
        return "", f"{cpu} (no GPU here to compile for; --architectures 90 names one)"
    if not _ARCHITECTURES.fullmatch(wanted):
        raise BuildError(f"--architectures {wanted!r}: numbers such as 90 or '90;120'")
    if found.nvcc is None:
        return "", f"{cpu} (CUDA's compiler nvcc is not on the PATH)"
    version = ".".join(map(str, found.nvcc))
    if found.cuda_major is not None and found.nvcc[0] > found.cuda_major:
        return "", f"{cpu} (nvcc {version} is newer than the driver's CUDA {found.cuda_major})"
    unknown = [one for one in wanted.split(";") if not _compiles(found.nvcc, one)]
    if unknown:
        return "", f"{cpu} (nvcc {version} does not know architecture {', '.join(unknown)})"
    return wanted, f"llama.cpp: compiled with nvcc {version} for architecture {wanted}"


def _architectures(found: Findings) -> tuple[str, ...]:
    return tuple(sorted({gpu.cuda_architecture for gpu in found.gpus}, key=int))


def _compiles(nvcc: tuple[int, int], architecture: str) -> bool:
    """Whether a compiler knows an architecture such as ``90`` or ``120a``."""
    capability = int(architecture.rstrip("af")) / 10
    least = next((first for since, first in _COMPILERS if capability >= since), (11, 0))
    return nvcc >= least
