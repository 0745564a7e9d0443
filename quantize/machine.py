"""What this machine computes on, in the words in which engines say what they support.

No torch: NVIDIA's own ``nvidia-smi`` is asked. A GPU that no table names counts as none. Standard
library only: set-up reads it before any environment exists.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Device = Literal["cpu", "ampere", "ada", "hopper", "blackwell"]

CPU_NAME = "CPU"
VISIBLE = "CUDA_VISIBLE_DEVICES"
_QUERY = (
    "nvidia-smi",
    "--query-gpu=index,uuid,compute_cap,memory.total,mig.mode.current,driver_version,name",
    "--format=csv,noheader,nounits",
)
_FIELDS = 7
_FREE_QUERY = ("nvidia-smi", "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits")
_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU that a table names, whether this process may use it or not.

    ``memory_bytes`` is None where the GPU shares the system's memory and names no size of its own
    (DGX Spark). ``mig``: it is cut into instances, each of which has a part of that memory.
    """

    index: int
    uuid: str
    name: str
    device: Device
    compute_capability: str
    memory_bytes: int | None
    driver: str
    mig: bool = False

    @property
    def cuda_architecture(self) -> str:
        """The compute capability as compilers take it: ``90``."""
        return self.compute_capability.replace(".", "")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The first GPU that this process may use with all of them, or the machine's CPU.

    ``memory_bytes`` is that GPU's own memory; None on a CPU and where it names none.
    """

    device: Device
    name: str
    memory_bytes: int | None = None
    gpus: tuple[Gpu, ...] = ()

    @property
    def phrase(self) -> str:
        """How a message speaks of it."""
        return "a CPU" if self.device == "cpu" else f"{self.name} ({self.device.capitalize()})"


def device_of(compute_capability: str) -> Device | None:
    """The architecture of a CUDA compute capability such as ``9.0``; None: older than all named.

    8.0 to 8.7 are Ampere, 8.9 is Ada Lovelace, 9.0 Hopper, 10 and above Blackwell in its data
    centre (10.x), embedded (11.0) and desktop (12.x, DGX Spark 12.1) forms (NVIDIA, CUDA GPU
    compute capability).

    Raises:
        ValueError: that is no compute capability.
    """
    major, minor = (int(part) for part in compute_capability.split("."))
    if major >= 10:
        return "blackwell"
    if major == 9:
        return "hopper"
    if major == 8:
        return "ada" if minor == 9 else "ampere"
    return None


def parse_gpus(lines: str) -> list[Gpu]:
    """The GPUs in the answer of nvidia-smi: the fields of the query, MiB, one GPU a line."""
    found = []
    for line in lines.splitlines():
        parts = [part.strip() for part in line.split(",", _FIELDS - 1)]
        if len(parts) != _FIELDS or not parts[0].isdigit():
            continue
        index, uuid, capability, memory, mig, driver, name = parts
        try:
            device = device_of(capability)
        except ValueError:
            continue
        if device is not None:
            found.append(
                Gpu(
                    index=int(index),
                    uuid=uuid,
                    name=name,
                    device=device,
                    compute_capability=capability,
                    memory_bytes=int(memory) << 20 if memory.isdigit() else None,
                    driver=driver,
                    mig=mig == "Enabled",
                )
            )
    return found


def visible_gpus(gpus: Sequence[Gpu], named: str | None) -> list[Gpu]:
    """Those GPUs that ``CUDA_VISIBLE_DEVICES`` names by index or UUID, in its order; None: all.

    An instance of a GPU (``MIG-…``) says nothing about its GPU here; all of them stay visible.
    """
    if named is None or "MIG-" in named:
        return list(gpus)
    found = []
    for name in (word.strip() for word in named.split(",")):
        hits = [gpu for gpu in gpus if str(gpu.index) == name or _is_uuid(gpu.uuid, name)]
        if not hits:
            # CUDA stops at the first name that it does not know, as at -1.
            break
        found += hits[:1]
    return found


def _is_uuid(uuid: str, name: str) -> bool:
    """CUDA takes the beginning of a UUID for the whole."""
    return name.startswith("GPU-") and uuid.startswith(name)


def probe_gpus() -> list[Gpu]:
    """Ask for all GPUs; blocks for a fraction of a second. Never fails: no answer means none."""
    return parse_gpus(_answer(_QUERY))


def free_gpu_bytes(uuid: str) -> int | None:
    """What nobody holds of a GPU's memory; blocks for a fraction of a second. None: not told."""
    lines = (line.split(",") for line in _answer(_FREE_QUERY).splitlines())
    free = {parts[0].strip(): parts[-1].strip() for parts in lines}.get(uuid, "")
    return int(free) << 20 if free.isdigit() else None


def _answer(query: Sequence[str]) -> str:
    """What nvidia-smi says; nothing where it does not answer."""
    try:
        return subprocess.run(
            query, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def probe_machine() -> Machine:
    """Ask for the GPUs; blocks for a fraction of a second. Never fails: no answer means a CPU."""
    named = os.environ.get(VISIBLE)
    if named is not None and named.strip() in {"", "-1"}:
        return Machine(device="cpu", name=CPU_NAME)
    gpus = visible_gpus(probe_gpus(), named)
    if not gpus:
        return Machine(device="cpu", name=CPU_NAME)
    first = gpus[0]
    return Machine(
        device=first.device, name=first.name, memory_bytes=first.memory_bytes, gpus=tuple(gpus)
    )
