"""What the GPUs of a machine are doing, and which of them a process may use. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from quantize.name_list import names_of

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True)
class GpuUse:
    """One GPU now; None is what it does not tell.

    ``used_ratio`` is 0 to 1, power in watts, clocks in hertz; ``energy_joules`` is what it has used
    since its driver was loaded. ``throttled`` are the reasons for which its clocks are lower than
    they could be, ``processes`` the bytes that each process holds of it, by pid. ``unified``: its
    memory is the machine's own. ``read_at_s`` is when its energy was read, on the monotonic clock.
    """

    index: str
    uuid: str
    name: str = ""
    used_ratio: float | None = None
    memory_used_bytes: int | None = None
    memory_bytes: int | None = None
    unified: bool = False
    power_watts: float | None = None
    energy_joules: float | None = None
    read_at_s: float = 0.0
    sm_clock_hertz: float | None = None
    memory_clock_hertz: float | None = None
    throttled: frozenset[str] | None = None
    processes: Mapping[int, int | None] = field(default_factory=dict)

    def held_by(self, pids: Collection[int]) -> int | None:
        """What some processes hold of its memory together; None where it does not tell of all."""
        held = [self.processes[pid] for pid in pids if pid in self.processes]
        known = [size for size in held if size is not None]
        return sum(known) if known and len(known) == len(held) else None


def visible_to(gpus: Sequence[GpuUse], variables: Mapping[str, str]) -> list[GpuUse]:
    """Those GPUs that a process with these environment variables may use."""
    if VISIBLE not in variables:
        return list(gpus)
    named = names_of(variables[VISIBLE])
    return [gpu for gpu in gpus if gpu.index in named or _is_named(gpu.uuid, named)]


def used_by(
    gpus: Sequence[GpuUse], pids: Collection[int], variables: Mapping[str, str]
) -> list[GpuUse]:
    """Those GPUs on which some processes compute.

    The driver names processes as the machine numbers them: where none of ours is among them (a
    container has numbers of its own), it is all that they may use.
    """
    found = [gpu for gpu in gpus if not gpu.processes.keys().isdisjoint(pids)]
    return found or visible_to(gpus, variables)


def _is_named(uuid: str, named: list[str]) -> bool:
    """CUDA takes the beginning of a UUID for the whole."""
    return any(name.startswith("GPU-") and uuid.startswith(name) for name in named)
