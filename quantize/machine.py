"""What this machine computes on, in the words in which engines say what they support.

No torch: NVIDIA's own ``nvidia-smi`` is asked. A GPU that no table names counts as none.
"""

import os
import subprocess
from dataclasses import dataclass
from typing import Literal

Device = Literal["cpu", "ampere", "ada", "hopper", "blackwell"]

CPU_NAME = "CPU"
_QUERY = (
    "nvidia-smi",
    "--query-gpu=name,compute_cap,memory.total",
    "--format=csv,noheader,nounits",
)
_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine's first GPU, or its CPU.

    ``memory_bytes`` is the GPU's own memory; None on a CPU, and where the GPU shares the
    system's memory and names no size of its own (DGX Spark).
    """

    device: Device
    name: str
    memory_bytes: int | None = None

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


def parse_gpus(lines: str) -> list[Machine]:
    """The GPUs in the answer of nvidia-smi (name, compute capability, MiB; one a line)."""
    found = []
    for line in lines.splitlines():
        parts = [part.strip() for part in line.rsplit(",", 2)]
        try:
            device = device_of(parts[1])
        except (IndexError, ValueError):
            continue
        if device is not None:
            memory = int(parts[2]) << 20 if parts[2].isdigit() else None
            found.append(Machine(device=device, name=parts[0], memory_bytes=memory))
    return found


def probe_machine() -> Machine:
    """Ask for the GPUs; blocks for a fraction of a second. Never fails: no answer means a CPU."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "unset").strip() in {"", "-1"}:
        return Machine(device="cpu", name=CPU_NAME)
    try:
        answer = subprocess.run(
            _QUERY, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return Machine(device="cpu", name=CPU_NAME)
    gpus = parse_gpus(answer.stdout)
    return gpus[0] if gpus else Machine(device="cpu", name=CPU_NAME)
