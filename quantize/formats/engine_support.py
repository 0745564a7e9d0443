"""On which devices an engine computes a storage format, and how."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from quantize.machine import Device

# How an engine computes a format on a device. ``native``: as the format prescribes.
# ``weight-only``: weights as stored, inputs left at 16 bits though the format rounds them, so
# neither speed nor quality speaks for a device that has the format. ``emulated``: in wider
# numbers, rounded as the format prescribes: the quality counts, the speed does not.
Arithmetic = Literal["native", "weight-only", "emulated"]
Devices = Mapping[Device, Arithmetic]

DEVICES: tuple[Device, ...] = get_args(Device)
GPUS: tuple[Device, ...] = tuple(device for device in DEVICES if device != "cpu")
EMULATED_ANYWHERE: Devices = MappingProxyType(dict.fromkeys(DEVICES, "emulated"))


def on(*devices: Device) -> Devices:
    """These devices compute as the format prescribes."""
    return MappingProxyType(dict.fromkeys(devices, "native"))


def native_and_weight_only(native: Iterable[Device], weight_only: Iterable[Device]) -> Devices:
    """Some devices compute as the format prescribes, others only shrink the weights."""
    kinds: dict[Device, Arithmetic] = dict.fromkeys(weight_only, "weight-only")
    return MappingProxyType(kinds | dict.fromkeys(native, "native"))
