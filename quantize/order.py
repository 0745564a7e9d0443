"""What is to be made: every recipe of an order, with all that decides its artifact."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quantize.adoption import earlier_key
from quantize.artifact.manifest import MANIFEST_NAME, ArtifactError, Manifest, read_manifest
from quantize.artifact_paths import artifact_directory
from quantize.calibration.calibration_set import CalibrationPlan, plan_sha256, read_texts
from quantize.calibration.enough_text import check_enough
from quantize.fitness import require_all
from quantize.jobs.environment import installed_version
from quantize.methods import LIBRARIES_FROM, METHODS
from quantize.published_model import check_same_vocabulary
from quantize.recipes.catalogue import Recipe, with_sources
from quantize.source.normalised_folder import PreparedSource, prepare_source
from quantize.source.published import published_of
from quantize.source.source_model import SourceModel, check_finite
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import key_of, parts_of, what_changed

_CODE_DIGITS = 12


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
    """One recipe of an order, with everything that decides what comes out (``made_from``)."""

    recipe: Recipe
    directory: Path
    source: Path | None
    tool: str
    tool_version: str
    made_from: Mapping[str, str]
    earlier_key: str | None

    @property
    def inputs_sha256(self) -> str:
        """The key: an artifact that has it is the one to be made."""
        return key_of(self.made_from)


def plan_items(order: Order) -> list[Item]:
    """The items in the order in which they can be made, sources first."""
    calibration = plan_sha256(order.calibration)
    items: dict[str, Item] = {}
    versions = _Versions()
    for recipe in with_sources(list(order.recipe_names)):
        source = items[recipe.source] if recipe.source else None
        items[recipe.name] = _item(order, recipe, source, calibration, versions)
    return list(items.values())


def _item(
    order: Order, recipe: Recipe, source: Item | None, calibration: str, versions: "_Versions"
) -> Item:
    """One item; what its source is made from counts through the source's key.

    The tokenizer, which decides the token ids together with the calibration's text and size,
    belongs to the model.
    """
    spec = METHODS[recipe.method]
    code = code_sha256(spec.make.__module__, prepare_source.__module__)
    libraries = {name: versions.of(LIBRARIES_FROM, name) for name in spec.libraries}
    tool = spec.tool or "assay"
    tool_version = (
        versions.of(spec.environment, spec.tool)
        if spec.tool and spec.environment
        else code[:_CODE_DIGITS]
    )
    made_from = parts_of(
        model=_weights_sha256(order.model, recipe),
        recipe=recipe.name,
        method=recipe.method,
        parameters=dict(recipe.parameters),
        tool=f"{spec.tool} {tool_version}" if spec.tool else "our own code",
        libraries=" ".join(f"{name} {version}" for name, version in libraries.items()),
        calibration=calibration if recipe.calibrated else "none",
        source=source.inputs_sha256 if source else "none",
        code=code,
    )
    return Item(
        recipe=recipe,
        directory=artifact_directory(order.artifacts, order.model, recipe.name),
        source=source.directory if source else None,
        tool=tool,
        tool_version=tool_version,
        made_from=made_from,
        earlier_key=earlier_key(
            order.model,
            recipe,
            tool=tool,
            tool_version=tool_version if spec.tool else None,
            libraries=libraries,
            calibration_sha256=calibration,
            source_key=source.earlier_key if source else None,
        ),
    )


def _weights_sha256(model: SourceModel, recipe: Recipe) -> str:
    """Hash of the weights that a recipe is about, and of the words beside them."""
    published = published_of(model) if recipe.as_published else None
    if published is None:
        return model.sha256
    return f"{published.published_sha256} beside {model.sha256}"


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
    manifest = _whole(item.directory)
    valid = {item.inputs_sha256, item.earlier_key}
    return manifest if manifest is not None and manifest.inputs_sha256 in valid else None


def outdated_by(item: Item) -> str | None:
    """What has changed since the artifact that is there was made; None where there is none."""
    manifest = _whole(item.directory)
    if manifest is not None:
        return what_changed(manifest.made_from, item.made_from)
    damaged = (item.directory / MANIFEST_NAME).is_file()
    return "what was there is damaged" if damaged else None


def _whole(artifact: Path) -> Manifest | None:
    """The manifest of an artifact whose files all have the sizes it tells."""
    try:
        manifest = read_manifest(artifact)
        sizes = [(artifact / entry.path).stat().st_size for entry in manifest.files]
    except (ArtifactError, OSError):
        return None
    return manifest if sizes == [entry.size_bytes for entry in manifest.files] else None


def missing_items(items: list[Item]) -> list[Item]:
    """The items whose artifacts are not there, or not made from today's inputs."""
    return [item for item in items if reusable(item) is None]


def check_order(order: Order, missing: list[Item], source: PreparedSource) -> None:
    """Check everything that can be checked before what is missing is made.

    Raises:
        ValueError: the model, the calibration text or a recipe's name is at fault.
    """
    require_all([item.recipe for item in missing], source, order.model)
    model = published_of(order.model)
    if model is not None:
        check_same_vocabulary(model)
    if any(not item.recipe.as_published for item in missing):
        check_finite(source.reading)
    if any(item.recipe.calibrated for item in missing):
        check_enough(source.folder, order.calibration)
    else:
        # GGUF is held against the model's tokenizer on it.
        read_texts(order.calibration.path)
