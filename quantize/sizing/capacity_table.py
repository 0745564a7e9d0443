"""``assay capacity``: one table of what a model needs, and what holds it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import huggingface_hub

from quantize.fitness import why_not, why_not_as_long, why_not_of
from quantize.machine import probe_machine
from quantize.model_source import examined
from quantize.published_model import recognise, what_recipes_read
from quantize.recipes.catalogue import find_recipe
from quantize.recipes.native_recipes import native
from quantize.recipes.recipe import Recipe
from quantize.root import ROOT
from quantize.sizing.capacity import (
    BATCH_TOKENS,
    DEVICES,
    ENGINE_BYTES,
    GIB,
    SYSTEM_BYTES,
    USABLE,
    Placement,
    fit,
    needs,
)
from quantize.source.hub import HubError, fetched
from quantize.source.model_shape import SHAPES, ModelShape, ShapeError, read_shape
from quantize.source.published import Published, gguf_in
from quantize.source.source_config import architecture_of, read_any_config, read_source_config
from quantize.source.source_model import REFERENCE, REFERENCE_WEIGHTS, fingerprint

# Where normalised folders lie; one that is there answers at once.
ARTIFACTS = ROOT / "artifacts"
_CONTEXT = 2048
Unserved = Callable[[str, Mapping[str, Any]], str | None]
_UNITS = {"GIB": GIB, "GB": 10**9, "MIB": 1 << 20, "MB": 10**6, "TIB": 1 << 40, "TB": 10**12}


def parse_memory(text: str) -> int:
    """Bytes of ``128GiB``, ``80 GB``.

    Raises:
        ValueError: that is no size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None or float(found[1]) <= 0:
        raise ValueError(f"--memory {text!r} is no size: write for example 128GiB or 80GB")
    return int(float(found[1]) * unit)


def load_config(model: str) -> Mapping[str, Any]:
    """The configuration of ``reference``, a folder, a ``config.json``, or a Hugging Face id.

    It is read as every recipe reads it; of an id that one file is downloaded, nothing else.

    Raises:
        ValueError: there is none, or no recipe could be made of it.
    """
    path = REFERENCE_WEIGHTS if model == REFERENCE else Path(model).expanduser()
    if path.is_dir():
        return _of_known(model, path)
    if not path.exists() and re.fullmatch(r"[\w.-]+/[\w.-]+", model) and model[0] != ".":
        path = _download(model)
    if not path.exists():
        raise ShapeError(f"{model!r}: no folder with a config.json, no such file")
    if path.name != "config.json":
        raise ShapeError(f"{model!r}: give the model's folder, or its config.json")
    return _of_known(model, path.parent)


def _of_known(model: str, folder: Path) -> Mapping[str, Any]:
    architecture = architecture_of(read_any_config(folder).content)
    if architecture not in SHAPES:
        raise ShapeError(
            f"{model}: recipes know no {architecture}, so its size is that of its own weights: "
            "give the folder that holds them"
        )
    return read_source_config(folder).content


def _published(model: str) -> Published | None:
    """A published checkpoint that lies here whole; of an id, nothing is downloaded for its size."""
    path = Path(model).expanduser()
    is_whole = path.is_file() and path.suffix == ".gguf"
    if path.is_dir():
        is_whole = any(path.glob("*.safetensors")) or gguf_in(path) is not None
    return recognise(model) if is_whole else None


def _download(model: str) -> Path:
    try:
        return fetched(huggingface_hub.hf_hub_download, model, filename="config.json")
    except HubError as error:
        raise ShapeError(
            f"{model!r} is no folder or file here, and its config.json cannot be downloaded "
            f"({error})"
        ) from None


def placements(memory: str | None) -> list[Placement]:
    """The asked memory alone, or this machine's GPU and the known devices."""
    if memory is not None:
        return [Placement(name=memory, memory_bytes=parse_memory(memory))]
    here = probe_machine()
    mine = [Placement(name="here", memory_bytes=here.memory_bytes)] if here.memory_bytes else []
    return [*mine, *DEVICES]


def capacity_report(
    model: str,
    *,
    memory: str | None,
    context: int | None,
    concurrency: int,
    recipes: list[str],
    why_unserved: Unserved = lambda _form, _config: None,
) -> str:
    """The whole answer as text; without a ``context``, for 2048 tokens or what the model has.

    ``why_unserved`` says why no engine serves a published checkpoint as it is.

    Raises:
        ValueError: the model's configuration, a recipe's name or the memory is at fault, or nothing
            serves the model.
    """
    published = _published(model)
    if published is None:
        config = load_config(model)
        shape = read_shape(config)
    else:
        config, shape = what_recipes_read(model, published)
        if not published.is_gguf and (why := why_unserved(published.form, config)) is not None:
            raise ValueError(f"{model}: {why}")
    if context is None:
        context = min(_CONTEXT, shape.positions)
    if context > shape.positions:
        raise ValueError(f"--context {context}: the model has {shape.positions} positions")
    reasons = _left_out(model, config, shape, [find_recipe(name) for name in recipes])
    chosen = [find_recipe(name) for name in recipes if name not in reasons]
    if published is not None:
        chosen.append(native(published.form))
    reasons |= _too_short(shape, chosen, context)
    chosen = [recipe for recipe in chosen if recipe.name not in reasons]
    devices = placements(memory)
    parameters = published.parameters if published is not None else shape.parameters
    head = _heading(model, shape, parameters, context, concurrency)
    table = _table(shape, chosen, devices, context, concurrency, published)
    legend = [*_cannot(reasons), _legend(devices, context, concurrency)]
    return "\n\n".join([head, table, *legend])


def _left_out(
    model: str, config: Mapping[str, Any], shape: ModelShape, recipes: list[Recipe]
) -> dict[str, str]:
    """Why recipes cannot be made of the model: of a whole folder as ``make`` says it itself."""
    path = REFERENCE_WEIGHTS if model == REFERENCE else Path(model).expanduser()
    unknown = shape.architecture not in SHAPES
    if unknown or "quantization_config" in config or not path.is_dir():
        found = {recipe.name: why_not_of(recipe, config, shape) for recipe in recipes}
    elif any(path.glob("*.safetensors")):
        with examined(fingerprint(model), ARTIFACTS) as source:
            found = {recipe.name: why_not(recipe, source) for recipe in recipes}
    else:
        found = {recipe.name: why_not_of(recipe, config, shape) for recipe in recipes}
    return {name: why for name, why in found.items() if why is not None}


def _too_short(shape: ModelShape, recipes: list[Recipe], context: int) -> dict[str, str]:
    """Why recipes that can be made are not served at this context, as ``up`` says it itself."""
    found = {recipe.name: why_not_as_long(recipe, shape, context) for recipe in recipes}
    return {name: why for name, why in found.items() if why is not None}


def _cannot(reasons: Mapping[str, str]) -> list[str]:
    """One paragraph of what cannot be made or served; none where everything can."""
    names: dict[str, list[str]] = {}
    for name, why in reasons.items():
        names.setdefault(why, []).append(name)
    lines = [f"{', '.join(found)}: {why}" for why, found in names.items()]
    return ["\n".join(["Left out:", *lines])] if lines else []


def _heading(model: str, shape: ModelShape, parameters: int, context: int, concurrency: int) -> str:
    experts = f", {shape.experts} experts" if shape.experts > 1 else ""
    return (
        f"{model}: {parameters / 1e9:.3f} B parameters, {shape.blocks} blocks{experts}; "
        f"{concurrency} x {context:,} tokens"
    )


def _table(
    shape: ModelShape,
    recipes: list[Recipe],
    devices: list[Placement],
    context: int,
    concurrency: int,
    published: Published | None,
) -> str:
    by_name = {recipe.name: recipe for recipe in recipes}
    names = (device.name for device in devices)
    rows = [("recipe", "bits", "weights", "KV cache", "in all", *names)]
    for item in needs(
        shape, recipes, context=context, concurrency=concurrency, published=published
    ):
        cells = []
        for device in devices:
            found = fit(
                shape,
                by_name[item.recipe],
                device,
                context=context,
                concurrency=concurrency,
                published=published,
            )
            cells.append(f"{found.concurrency:,} | {_tokens(found.context)}")
        sizes = (item.weight_bytes, item.cache_bytes, item.total_bytes)
        rows.append(
            (item.recipe, f"{item.bits_per_weight:.2f}", *(_gib(size) for size in sizes), *cells)
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def _gib(size: float) -> str:
    return f"{size / GIB:.2f}" if size < 100 * GIB else f"{size / GIB:,.0f}"


def _tokens(count: int) -> str:
    return f"{count // 1024}k" if count >= 1024 else str(count)


def _legend(devices: list[Placement], context: int, concurrency: int) -> str:
    lines = [
        "Sizes in GiB. Each device: the most sequences of "
        f"{context:,} tokens | the longest context of {concurrency} sequences (k = 1024 tokens, no "
        "longer than the model's own). 0 | 0: the weights do not fit.",
        f"Counted beside weights and cache: one forward pass over {BATCH_TOKENS:,} tokens and "
        f"{ENGINE_BYTES / GIB:.1f} GiB for the engine, within {USABLE:.0%} of a device's memory.",
    ]
    if any(device.shared for device in devices):
        lines.append(
            "DGX Spark: CPU and GPU share the memory; "
            f"{SYSTEM_BYTES / GIB:.0f} GiB are left to the system. What other programs hold is "
            "missing from it."
        )
    lines.append("FP4 arithmetic needs a Blackwell device; before it only the size shrinks.")
    return "\n".join(lines)
