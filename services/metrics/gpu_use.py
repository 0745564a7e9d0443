"""What the GPUs that an engine may use are doing, told by NVIDIA's own ``nvidia-smi``."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

_QUERY = (
    "nvidia-smi",
    "--query-gpu=index,uuid,utilization.gpu,memory.used,memory.total,power.draw",
    "--format=csv,noheader,nounits",
)
_TIMEOUT_S = 5.0
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True)
class GpuUse:
    """One GPU now; None is what it does not tell. ``used_ratio`` is 0 to 1, power in watts."""

    index: str
    uuid: str
    used_ratio: float | None
    memory_used_bytes: int | None
    memory_bytes: int | None
    power_watts: float | None


def parse_gpu_use(lines: str) -> list[GpuUse]:
    """The answer of ``nvidia-smi`` (index, UUID, percent, MiB, MiB, watts; one GPU a line)."""
    found = []
    for line in lines.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 6 or not parts[0].isdigit():
            continue
        percent, used_mib, total_mib, watts = (_number(part) for part in parts[2:])
        found.append(
            GpuUse(
                index=parts[0],
                uuid=parts[1],
                used_ratio=None if percent is None else percent / 100,
                memory_used_bytes=None if used_mib is None else int(used_mib) << 20,
                memory_bytes=None if total_mib is None else int(total_mib) << 20,
                power_watts=watts,
            )
        )
    return found


def visible_to(gpus: list[GpuUse], variables: Mapping[str, str]) -> list[GpuUse]:
    """Those GPUs that a process with these environment variables may use."""
    if VISIBLE not in variables:
        return gpus
    named = [name.strip() for name in variables[VISIBLE].split(",") if name.strip()]
    return [gpu for gpu in gpus if gpu.index in named or _is_named(gpu.uuid, named)]


def read_gpu_use(variables: Mapping[str, str] = os.environ) -> list[GpuUse]:
    """Ask for the GPUs; blocks for a fraction of a second. No answer means no GPU."""
    if shutil.which(_QUERY[0]) is None:
        return []
    try:
        answer = subprocess.run(
            _QUERY, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return visible_to(parse_gpu_use(answer.stdout), variables)


def _number(text: str) -> float | None:
    """A figure, or None for ``[N/A]`` and its like."""
    try:
        return float(text)
    except ValueError:
        return None


def _is_named(uuid: str, named: list[str]) -> bool:
    """CUDA takes the beginning of a UUID for the whole."""
    return any(name.startswith("GPU-") and uuid.startswith(name) for name in named)
