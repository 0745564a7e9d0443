"""How a plan names the variants of a published checkpoint, and what they are compared with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantize.published_model import recognise
from quantize.recipes.recipe import NATIVE
from quantize.source.source_model import REFERENCE
from services.engines.table import ENGINES
from services.variants import find_variant

# The weights of the folder that a plan names as its baseline, served as most people would.
SOURCE_BASELINE = "bf16-vllm"


def with_baseline(content: Mapping[str, Any], baseline: str | None) -> dict[str, Any]:
    """A plan's content whose ``baseline`` is a variant, where it names a model: that is ``source``.

    ``baseline`` stands in for the plan's own.
    """
    named = baseline or content.get("baseline")
    variants = content.get("variants")
    if not isinstance(named, str) or not _is_model(named) or not isinstance(variants, list | tuple):
        return dict(content)
    others = [item for item in variants if item != SOURCE_BASELINE]
    return {
        **content,
        "source": named,
        "baseline": SOURCE_BASELINE,
        "variants": [SOURCE_BASELINE, *others],
    }


def _is_model(name: str) -> bool:
    """Names of variants have no slash; one that is a folder's as well is the variant's."""
    if "/" in name or name == REFERENCE:
        return True
    return Path(name).expanduser().is_dir() and not _is_variant(name)


def _is_variant(name: str) -> bool:
    try:
        find_variant(name)
    except ValueError:
        return False
    return True


def name_published(content: Mapping[str, Any]) -> dict[str, Any]:
    """A plan's content in which ``native-<engine>`` stands for the variant of its model's format.

    Raises:
        ValueError: the model is no published checkpoint, or cannot be read.
    """
    variants = content.get("variants")
    named = list(variants) if isinstance(variants, list | tuple) else []
    if not any(_short_engine(_name_of(item)) for item in (*named, content.get("baseline"))):
        return dict(content)
    form = _form_of(str(content.get("model") or REFERENCE))
    found = {**content, "variants": [_spelt_out(item, form) for item in named]}
    if "baseline" in content:
        found["baseline"] = _spelt_out(content["baseline"], form)
    return found


def _form_of(model: str) -> str:
    published = recognise(model)
    if published is None:
        raise ValueError(
            f"variants: {NATIVE}… serves a published quantized checkpoint as it is; {model} has "
            "16-bit weights"
        )
    return published.form


def _name_of(item: object) -> object:
    return item.get("variant") if isinstance(item, dict) else item


def _short_engine(name: object) -> str | None:
    """The engine of a name without a format: ``native-vllm``, ``native-vllm-kv-fp8``."""
    if not isinstance(name, str) or not name.startswith(NATIVE):
        return None
    rest = name.removeprefix(NATIVE)
    return next((it for it in ENGINES if rest == it or rest.startswith(f"{it}-")), None)


def _spelt_out(item: object, form: str) -> object:
    name = _name_of(item)
    engine = _short_engine(name)
    if not isinstance(name, str) or engine is None:
        return item
    options = name.removeprefix(f"{NATIVE}{engine}")
    full = f"{find_variant(f'{NATIVE}{form}-{engine}').name}{options}"
    return {**item, "variant": full} if isinstance(item, dict) else full
