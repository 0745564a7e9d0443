"""How large the missing artifacts will be, how long they take, and whether the disk holds them.

The time is that of an earlier artifact of the same recipe, scaled by parameters, or where there
was none a stated rate.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from quantize.artifact.manifest import MANIFEST_NAME, ArtifactError, Manifest, read_manifest
from quantize.machine import probe_machine
from quantize.order import Item, Order
from quantize.recipes.recipe import Method
from quantize.sizing.weight_bytes import weight_bytes
from quantize.source.model_shape import ModelShape
from quantize.source.normalised_folder import PreparedSource
from quantize.source.reading import TOKENIZER_FILES

# Seconds per million parameters after the start of the tool: the reference model (23 M), two
# cores, no GPU. The first artifact made corrects it.
START_S = 20.0
SECONDS_PER_MILLION: Mapping[Method, float] = MappingProxyType(
    {
        "copy": 0.05,
        "rtn": 0.5,
        "gptq": 2.0,
        "awq": 5.0,
        "modelopt": 1.5,
        "gguf": 0.3,
        "native": 0.005,
    }
)
# On a GPU: an 8B shape on an H100 for copy and modelopt, which took 17 to 121 s; the others as
# published for such models on an A100. llama.cpp's tools stay on the processor.
SECONDS_PER_MILLION_ON_GPU: Mapping[Method, float] = MappingProxyType(
    {
        "copy": 0.05,
        "rtn": 0.01,
        "gptq": 0.25,
        "awq": 0.25,
        "modelopt": 0.015,
        "gguf": 0.3,
        "native": 0.005,
    }
)
_UNSTARTED: tuple[Method, ...] = ("copy", "native")
# Headers of the weight files, the configuration and the manifest.
_HEADER_BYTES = 1 << 18


class DiskRoomError(ValueError):
    """The disk has no room for what is to be made; the message says how much is needed."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One artifact to be made: its size on disk, the seconds, and where they come from."""

    recipe: str
    size_bytes: int
    seconds: float
    basis: str


def estimate(order: Order, items: Iterable[Item], source: PreparedSource) -> list[Estimate]:
    """What each of these artifacts will cost."""
    shape = source.reading.shape
    earlier = earlier_manifests(order.artifacts)
    on_gpu = probe_machine().device != "cpu"
    beside = _HEADER_BYTES + sum(
        (source.folder / name).stat().st_size
        for name in TOKENIZER_FILES
        if (source.folder / name).is_file()
    )
    return [_estimate(item, shape, beside, earlier, on_gpu=on_gpu) for item in items]


def _estimate(
    item: Item, shape: ModelShape, beside: int, earlier: Sequence[Manifest], *, on_gpu: bool
) -> Estimate:
    # A published checkpoint is linked.
    weights = 0 if item.recipe.as_published else weight_bytes(shape, item.recipe)
    name, method = item.recipe.name, item.recipe.method
    seconds, basis = expected_seconds(name, method, shape, earlier, on_gpu=on_gpu)
    return Estimate(
        recipe=name,
        size_bytes=int(weights) + beside,
        seconds=seconds,
        basis=basis,
    )


def expected_seconds(
    recipe: str,
    method: Method,
    shape: ModelShape,
    earlier: Sequence[Manifest],
    *,
    on_gpu: bool = False,
) -> tuple[float, str]:
    """Seconds, and what they are taken from.

    A larger model takes longer in proportion to its parameters; a smaller one is not counted
    faster, because the tool's start does not shrink.
    """
    alike = [manifest for manifest in earlier if manifest.recipe == recipe]
    if alike:
        nearest = min(alike, key=lambda made: abs(made.parameter_count - shape.parameters))
        factor = max(1.0, shape.parameters / nearest.parameter_count)
        return nearest.seconds * factor, f"from {nearest.model}: {nearest.seconds:.0f} s"
    start = 0.0 if method in _UNSTARTED else START_S
    rate = (SECONDS_PER_MILLION_ON_GPU if on_gpu else SECONDS_PER_MILLION)[method]
    return start + rate * shape.parameters / 1e6, f"rule: {rate:g} s per million parameters"


def earlier_manifests(artifacts: Path) -> list[Manifest]:
    """The manifests of all finished artifacts of any model; unreadable ones are passed over."""
    found = []
    for path in sorted(artifacts.glob(f"*/*/{MANIFEST_NAME}")):
        try:
            found.append(read_manifest(path.parent))
        except (ArtifactError, OSError):
            continue
    return found


def free_bytes(folder: Path) -> int:
    """Free room where a folder is or will be."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(existing).free


def check_room(estimates: Sequence[Estimate], artifacts: Path) -> None:
    """Refuse what the disk cannot hold: all artifacts, and the largest once more in the making.

    Raises:
        DiskRoomError: with what is needed, what there is, and where.
    """
    needed = needed_bytes(estimates)
    free = free_bytes(artifacts)
    if needed > free:
        raise DiskRoomError(
            f"{len(estimates)} artifacts need about {needed / 1e9:.2f} GB under {artifacts}, "
            f"{free / 1e9:.2f} GB are free; make room, choose fewer recipes (--recipes), or "
            "another place (--artifacts)"
        )


def needed_bytes(estimates: Sequence[Estimate]) -> int:
    """Room for all, and for the largest one's intermediate files."""
    sizes = [item.size_bytes for item in estimates]
    return sum(sizes) + max(sizes, default=0)
