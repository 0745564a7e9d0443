"""The VARIANTS table: every recipe on every engine that loads its checkpoint format.

A variant's options follow its name: ``fp8-vllm-kv-fp8`` keeps its key-value cache in FP8,
``fp8-trtllm-engine`` serves an engine that is compiled first (``-engine-int8``: with its 16-bit
weights rounded).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType

from quantize.formats.engine_support import Arithmetic
from quantize.machine import Device, Machine
from quantize.recipes.catalogue import RECIPES, Recipe, find_recipe
from quantize.recipes.native_recipes import native
from quantize.recipes.recipe import NATIVE
from services.engines.spec import EngineBuild, EngineSpec
from services.engines.support import devices_phrase
from services.engines.table import ENGINES

_KV_MARK = "-kv-"
_ENGINE_MARKS: Mapping[EngineBuild, str] = MappingProxyType(
    {"stored": "-engine", "int8": "-engine-int8", "int4": "-engine-int4"}
)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A recipe on an engine: the thing that is deployed, loaded, questioned and compared.

    ``kv_cache`` is the engine's name for the type of its key-value cache (None: its default).
    """

    name: str
    recipe: Recipe
    engine: EngineSpec
    kv_cache: str | None = None
    engine_build: EngineBuild | None = None

    def arithmetic_on(self, device: Device) -> Arithmetic | None:
        """How the engine computes the recipe's format there; None: not at all."""
        return self.engine.checkpoints[self.recipe.format.name].get(device)


def _plain(recipe: Recipe, engine: EngineSpec) -> Variant:
    """``<recipe>-<engine>``; where everyone means the same engine, the recipe's name is enough."""
    plain = recipe.format.name in engine.plain_names
    name = recipe.name if plain else f"{recipe.name}-{engine.name}"
    return Variant(name=name, recipe=recipe, engine=engine)


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        variant.name: variant
        for recipe in RECIPES.values()
        for engine in ENGINES.values()
        if recipe.format.name in engine.checkpoints
        for variant in [_plain(recipe, engine)]
    }
)


def find_variant(name: str) -> Variant:
    """Look up a variant by name, with the options that follow it.

    Raises:
        ValueError: no such variant or option; the message lists what is valid, nearest first.
    """
    found = _without_options(name)
    if found is not None:
        return found
    base, mark, dtype = name.rpartition(_KV_MARK)
    found, build = _split_build(base if mark else name)
    if found is None:
        raise ValueError(_unknown(name))
    if build is not None:
        _check_build(name, found, build)
        if mark:
            raise ValueError(
                f"{name}: a compiled engine's key-value cache has the type of its checkpoint; drop "
                "kv_cache, or take the recipe fp8-kv"
            )
    if mark and dtype not in found.engine.kv_cache_dtypes:
        valid = ", ".join(found.engine.kv_cache_dtypes) or "none, it has one type only"
        raise ValueError(
            f"{name}: {found.engine.title} has no key-value cache of type {dtype!r} "
            f"(kv_cache: valid: {valid})"
        )
    return replace(found, name=name, kv_cache=dtype if mark else None, engine_build=build)


def _split_build(name: str) -> tuple[Variant | None, EngineBuild | None]:
    """A variant's name without the mark of an engine to build, and how it is built."""
    for build, mark in _ENGINE_MARKS.items():
        base = _without_options(name.removesuffix(mark)) if name.endswith(mark) else None
        if base is not None:
            return base, build
    return _without_options(name), None


def _check_build(name: str, variant: Variant, build: EngineBuild) -> None:
    if not variant.engine.engine_builds:
        raise ValueError(f"{name}: {variant.engine.title} has no engine to build; drop `engine`")
    if build != "stored" and variant.recipe.format.name != "bf16":
        raise ValueError(
            f"{name}: {build} rounds 16-bit weights, {variant.recipe.name} has none; use "
            "`engine: true`"
        )


def variant_name(
    base: str, *, kv_cache: str | None = None, engine: EngineBuild | None = None
) -> str:
    """The name of a variant with options, as ``find_variant`` reads it.

    Raises:
        ValueError: no such variant or option.
    """
    options = (_ENGINE_MARKS[engine] if engine else "") + (
        f"{_KV_MARK}{kv_cache}" if kv_cache else ""
    )
    return find_variant(f"{find_variant(base).name}{options}").name


def refusal(variant: Variant, device: Device, machine: Machine) -> str | None:
    """Why a variant cannot run on a device, and what can instead; None: it can.

    ``device`` is what the variant's engine uses of the machine: a CPU build uses no GPU.
    """
    engine = variant.engine
    if variant.arithmetic_on(device) is None:
        devices = engine.checkpoints[variant.recipe.format.name]
        unused = (
            f" ({engine.title} is installed as a CPU build)" if machine.device != device else ""
        )
        return (
            f"{variant.name} needs {devices_phrase(devices)}, this machine is "
            f"{machine.phrase}{unused}; {_instead(variant, device)}"
        )
    if variant.kv_cache and device not in engine.kv_cache_dtypes[variant.kv_cache]:
        devices_with = devices_phrase(engine.kv_cache_dtypes[variant.kv_cache])
        here = [name for name, where in engine.kv_cache_dtypes.items() if device in where]
        return (
            f"{variant.name}: {engine.title}'s key-value cache can be {variant.kv_cache} on "
            f"{devices_with}, this machine is {machine.phrase}; here it can be: "
            f"{', '.join(here) or 'of the default type only'}"
        )
    return None


def _instead(variant: Variant, device: Device) -> str:
    """The variants of the same recipe that this machine can run."""
    others = [
        f"{other.name} measures its quality here"
        if other.arithmetic_on(device) == "emulated"
        else f"{other.name} runs here"
        for other in (_plain(variant.recipe, engine) for engine in _engines_of(variant.recipe))
        if other.arithmetic_on(device) is not None
    ]
    return "; ".join(others) or "no other engine runs it here"


def _engines_of(recipe: Recipe) -> list[EngineSpec]:
    return [engine for engine in ENGINES.values() if recipe.format.name in engine.checkpoints]


def _without_options(name: str) -> Variant | None:
    """A row of the table, or a recipe that has no row of its own (``auto-5.5``)."""
    if name in VARIANTS:
        return VARIANTS[name]
    if name.startswith(NATIVE):
        return _published_variant(name)
    for engine in ENGINES.values():
        base = name.removesuffix(f"-{engine.name}")
        if base != name:
            try:
                recipe = find_recipe(base)
            except ValueError:
                continue
            if recipe.format.name in engine.checkpoints:
                return _plain(recipe, engine)
    return None


def _published_variant(name: str) -> Variant | None:
    """``native-<format>-<engine>``, without the engine where everyone means the same."""
    for engine in ENGINES.values():
        form = name.removeprefix(NATIVE).removesuffix(f"-{engine.name}")
        if form in engine.checkpoints:
            found = _plain(native(form), engine)
            if name in (found.name, f"{found.recipe.name}-{engine.name}"):
                return found
    return None


def published_variants(form: str) -> list[str]:
    """The variants that serve a published checkpoint of a format as it is."""
    engines = (engine for engine in ENGINES.values() if form in engine.checkpoints)
    return [_plain(native(form), engine).name for engine in engines]


def _unknown(name: str) -> str:
    """What is wrong with a name, and the valid ones."""
    if name.startswith(NATIVE):
        forms = sorted({form for engine in ENGINES.values() for form in engine.checkpoints})
        return (
            f"unknown variant {name!r}: those of published checkpoints are named "
            f"{NATIVE}<format>-<engine> (engines: {', '.join(ENGINES)}; formats: "
            f"{', '.join(forms)})"
        )
    for recipe in sorted(RECIPES.values(), key=lambda recipe: -len(recipe.name)):
        engine = ENGINES.get(name.removeprefix(f"{recipe.name}-"))
        if engine is not None and name.startswith(recipe.name):
            valid = ", ".join(_plain(recipe, other).name for other in _engines_of(recipe))
            return (
                f"unknown variant {name!r}: {engine.title} does not load {recipe.format.name} "
                f"checkpoints (valid: {valid})"
            )
    near = get_close_matches(name, VARIANTS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown variant {name!r}{hint} (valid: {', '.join(VARIANTS)})"
