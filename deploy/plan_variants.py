"""How a plan names a variant: its name, or a mapping of its name and options."""

from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from services.engines.spec import EngineBuild
from services.variants import find_variant, variant_name

_VARIANT_KEYS = ("variant", "kv_cache", "engine")
_ENGINE_BUILDS: dict[object, EngineBuild | None] = {
    None: None,
    False: None,
    True: "stored",
    "int8": "int8",
    "int4": "int4",
}


def _named_variant(value: object) -> object:
    """A variant as a plan gives it: its name, or a mapping of its name and options."""
    if not isinstance(value, dict):
        return value
    unknown = [str(key) for key in value if key not in _VARIANT_KEYS]
    if unknown:
        near = get_close_matches(unknown[0], _VARIANT_KEYS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown key {unknown[0]!r}{hint} (valid: {', '.join(_VARIANT_KEYS)})")
    name, kv_cache, engine = (value.get(key) for key in _VARIANT_KEYS)
    if not isinstance(name, str):
        raise ValueError("variant: the name of a variant is missing")
    if not isinstance(kv_cache, str | None):
        raise ValueError(f"kv_cache: a name such as fp8 is needed, not {kv_cache!r}")
    if engine not in _ENGINE_BUILDS:
        raise ValueError(f"engine: true, false, int8 or int4 is needed, not {engine!r}")
    return variant_name(name, kv_cache=kv_cache, engine=_ENGINE_BUILDS[engine])


def _known_variant(name: str) -> str:
    return find_variant(name).name


VariantName = Annotated[str, BeforeValidator(_named_variant), AfterValidator(_known_variant)]
