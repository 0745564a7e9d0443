"""What an engine can serve, and on what: read from the table of formats, and put into words."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from quantize.formats.engine_support import GPUS, Devices
from quantize.formats.published_formats import EVERY_FORMAT
from quantize.machine import Device


def loaded_by(engine: str) -> Mapping[str, Devices]:
    """The formats whose rows name an engine, and how it computes each on which device."""
    return MappingProxyType(
        {row.name: row.engines[engine] for row in EVERY_FORMAT.values() if engine in row.engines}
    )


def devices_phrase(devices: Iterable[Device]) -> str:
    """``a CPU or an NVIDIA GPU (Hopper or Blackwell)``, in the order of the architectures' age."""
    found = set(devices)
    gpus = [device.capitalize() for device in GPUS if device in found]
    words = ["a CPU"] if "cpu" in found else []
    if len(gpus) == len(GPUS):
        words.append("an NVIDIA GPU (Ampere or later)")
    elif gpus:
        words.append(f"an NVIDIA GPU ({' or '.join(gpus)})")
    return " or ".join(words) or "another machine"
