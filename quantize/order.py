"""What is to be made: every recipe of an order, with all that decides its artifact."""

from dataclasses import dataclass
from pathlib import Path

from quantize.artifact.manifest import ArtifactError, Manifest, read_manifest
from quantize.artifact_paths import artifact_directory, inputs_sha256
from quantize.calibration.calibration_set import CalibrationPlan, plan_sha256
from quantize.jobs.tool_process import installed_version
from quantize.methods import METHODS
from quantize.recipes.catalogue import Recipe, with_sources
from quantize.source.source_model import SourceModel


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to make, of which model, where.

    Where ``proofs`` is given, a tool that has the quantized model in memory writes its logits to
    ``<proofs>/<recipe>.safetensors``, and is run for it even if the artifact is there.
    """

    model: SourceModel
    recipe_names: tuple[str, ...]
    calibration: CalibrationPlan
    artifacts: Path
    threads: int
    proofs: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Item:
    """One recipe of an order, with everything that decides what comes out."""

    recipe: Recipe
    directory: Path
    source: Path | None
    tool: str
    tool_version: str
    inputs_sha256: str


def plan_items(order: Order) -> list[Item]:
    """The items in the order in which they can be made, sources first."""
    calibration = plan_sha256(order.calibration)
    items: dict[str, Item] = {}
    versions = _Versions()
    for recipe in with_sources(list(order.recipe_names)):
        spec = METHODS[recipe.method]
        tool_version = (
            versions.of(spec.environment, spec.tool)
            if spec.tool and spec.environment
            else str(spec.version)
        )
        source = items[recipe.source] if recipe.source else None
        items[recipe.name] = Item(
            recipe=recipe,
            directory=artifact_directory(order.artifacts, order.model, recipe.name),
            source=source.directory if source else None,
            tool=spec.tool or "assay",
            tool_version=tool_version,
            inputs_sha256=inputs_sha256(
                order.model,
                recipe,
                method_version=spec.version,
                tool=spec.tool or "assay",
                tool_version=tool_version,
                libraries={name: versions.of("quantize", name) for name in spec.libraries},
                calibration_sha256=calibration,
                source_sha256=source.inputs_sha256 if source else None,
            ),
        )
    return list(items.values())


class _Versions:
    """Versions of distributions in the environments, each asked for once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def of(self, environment: str, distribution: str) -> str:
        """The installed version; raises ToolError where there is none."""
        key = environment, distribution
        if key not in self._known:
            self._known[key] = installed_version(*key)
        return self._known[key]


def reusable(item: Item) -> Manifest | None:
    """The finished artifact's manifest, if it was made from today's inputs and is all there.

    Sizes are checked here; hashes are when it is served.
    """
    try:
        manifest = read_manifest(item.directory)
        sizes = [(item.directory / entry.path).stat().st_size for entry in manifest.files]
    except (ArtifactError, OSError):
        return None
    whole = sizes == [entry.size_bytes for entry in manifest.files]
    return manifest if whole and manifest.inputs_sha256 == item.inputs_sha256 else None
