"""What an engine can serve, and on what: data, and the questions one asks of it."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from quantize.machine import Device
from quantize.recipes.recipe import Checkpoint

# How an engine computes a format on a device. ``native``: as the format prescribes.
# ``weight-only``: weights as stored, inputs left at 16 bits though the format rounds them, so
# neither speed nor quality speaks for a device that has the format. ``emulated``: in wider
# numbers, rounded as the format prescribes: the quality counts, the speed does not.
Arithmetic = Literal["native", "weight-only", "emulated"]
Devices = Mapping[Device, Arithmetic]

DEVICES: tuple[Device, ...] = get_args(Device)
GPUS: tuple[Device, ...] = tuple(device for device in DEVICES if device != "cpu")


def on(*devices: Device) -> Devices:
    """These devices compute as the format prescribes."""
    return MappingProxyType(dict.fromkeys(devices, "native"))


def native_and_weight_only(native: Iterable[Device], weight_only: Iterable[Device]) -> Devices:
    """Some devices compute as the format prescribes, others only shrink the weights."""
    kinds: dict[Device, Arithmetic] = dict.fromkeys(weight_only, "weight-only")
    return MappingProxyType(kinds | dict.fromkeys(native, "native"))


def emulated_anywhere(checkpoints: Iterable[Checkpoint]) -> Mapping[Checkpoint, Devices]:
    """Each of these formats in wider numbers, on every device."""
    everywhere: Devices = MappingProxyType(dict.fromkeys(DEVICES, "emulated"))
    return MappingProxyType(dict.fromkeys(checkpoints, everywhere))


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
