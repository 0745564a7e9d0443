"""Whether a device has room for one engine: pure, and the same for plans that are chosen or pinned.

A GPU is one engine's at a time; several of them share its weights and its cache.
"""

from quantize.machine import Machine
from quantize.sizing.capacity import GIB, Placement


def placement_of(machine: Machine, memory_bytes: int) -> Placement:
    """The machine's device, which has ``memory_bytes``.

    A GPU that names no memory of its own shares the system's (DGX Spark).
    """
    shared = machine.device != "cpu" and machine.memory_bytes is None
    return Placement(name=machine.name, memory_bytes=memory_bytes, shared=shared)


def why_no_room(asked: float, device: Placement, gpus: int = 1) -> str | None:
    """Why ``gpus`` such devices do not hold ``asked`` bytes together; None where they do."""
    room = gpus * device.usable_bytes
    if asked <= room:
        return None
    name = device.name if gpus == 1 else f"{gpus} x {device.name}"
    have = "have" if gpus > 1 else "has"
    return f"needs {asked / GIB:.1f} GiB, {name} {have} {room / GIB:.1f} GiB"
