"""``assay status --machine``: the device, the engines built for it, what each recipe is there."""

from collections.abc import Mapping, Sequence

from deploy.machine_check import engine_device
from deploy.service import DeployError
from deploy.settings import engine_version
from deploy.setup.environments import read_marker
from deploy.setup.findings import Findings, look
from quantize.machine import Device, Gpu, Machine, probe_machine
from quantize.recipes.catalogue import RECIPES
from services.engines.spec import EngineSpec
from services.engines.table import ENGINES

_MISSING = "-"


def device_lines(found: Findings) -> list[str]:
    """The machine in one line, and every GPU by its UUID."""
    return [f"machine: {found.phrase}", *(f"  {_gpu(gpu)}" for gpu in found.gpus)]


def _gpu(gpu: Gpu) -> str:
    memory = f"{gpu.memory_bytes / 2**30:.0f} GiB" if gpu.memory_bytes else "shared memory"
    mig = ", cut into MIG instances" if gpu.mig else ""
    return f"GPU {gpu.index} {gpu.uuid} {gpu.name} ({gpu.device.capitalize()}, {memory}{mig})"


def engine_lines(machine: Machine) -> tuple[list[str], dict[str, Device]]:
    """Every engine with version and build, and what each that is installed computes on."""
    lines, devices = [], {}
    for engine in ENGINES.values():
        try:
            distribution, version = engine_version(engine)
        except DeployError:
            lines.append(f"  {engine.title}: not installed")
            continue
        devices[engine.name] = engine_device(engine, machine)
        built = read_marker(engine.environment).get("build", "unknown")
        lines.append(
            f"  {engine.title}: {distribution} {version}, build {built}, "
            f"computes on {devices[engine.name]}"
        )
    return lines, devices


def recipe_table(devices: Mapping[str, Device]) -> list[tuple[str, ...]]:
    """A row per recipe: native, weight-only or emulated on each engine that is installed.

    A dash: that engine cannot run it here.
    """
    engines = [ENGINES[name] for name in devices]
    rows = [("recipe", *(engine.title for engine in engines))]
    for recipe in RECIPES.values():
        told = (_told(engine, recipe.format.name, devices[engine.name]) for engine in engines)
        rows.append((recipe.name, *told))
    return rows


def _told(engine: EngineSpec, checkpoint: str, device: Device) -> str:
    return engine.checkpoints.get(checkpoint, {}).get(device) or _MISSING


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equal length as lines, their columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def machine_report() -> str:
    """The whole report; blocks for seconds where there is a GPU."""
    lines, devices = engine_lines(probe_machine())
    table = aligned(recipe_table(devices)) if devices else []
    return "\n".join([*device_lines(look()), "engines:", *lines, *table])
