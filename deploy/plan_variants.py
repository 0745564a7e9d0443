"""How a plan names a variant: its name, or a mapping of its name, options and limits."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from services.engines.spec import EngineBuild
from services.engines.tuning import UNTUNED, Tuning
from services.variants import find_variant, variant_name

_VARIANT_KEYS = ("variant", "kv_cache", "engine")
_ENGINE_BUILDS: dict[object, EngineBuild | None] = {
    None: None,
    False: None,
    True: "stored",
    "int8": "int8",
    "int4": "int4",
}


class Limits(Tuning):
    """A variant's own serving limits and options; None: those of the section ``serving``."""

    threads: int | None = Field(default=None, ge=1)
    max_sequences: int | None = Field(default=None, ge=1)
    queue_length: int | None = Field(default=None, ge=0)
    kv_cache_gib: float | None = Field(default=None, gt=0)
    memory_gib: float | None = Field(default=None, gt=0)


class ServingLimits(BaseModel):
    """The limits as they hold for one variant: its own, else those of the section ``serving``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int | None
    max_sequences: int
    queue_length: int
    kv_cache_gib: float | None
    memory_gib: float | None
    tuning: Tuning = UNTUNED

    @property
    def places(self) -> int:
        """How many requests are open at once: those that run, and those that wait."""
        return self.max_sequences + self.queue_length


_KEYS = (*_VARIANT_KEYS, *Limits.model_fields)


def split_limits(content: Mapping[str, Any]) -> dict[str, Any]:
    """A plan's content with the limits of its variants moved to the key ``limits``, by name.

    What is no valid variant stays as it is, for the plan's own check to refuse.
    """
    variants, limits = content.get("variants"), content.get("limits") or {}
    if not isinstance(variants, list | tuple) or not isinstance(limits, dict):
        return dict(content)
    limits, names = dict(limits), []
    for value in variants:
        own = value if isinstance(value, dict) else {}
        given = {key: own[key] for key in own if key in Limits.model_fields}
        rest = {key: own[key] for key in own if key not in given} if own else value
        names.append(rest)
        if given:
            try:
                limits[_named_variant(rest)] = given
            except ValueError:
                continue
    return {**content, "variants": names, **({"limits": limits} if limits else {})}


def _named_variant(value: object) -> object:
    """A variant as a plan gives it: its name, or a mapping of its name and options."""
    if not isinstance(value, dict):
        return value
    unknown = [str(key) for key in value if key not in _VARIANT_KEYS]
    if unknown:
        near = get_close_matches(unknown[0], _KEYS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown key {unknown[0]!r}{hint} (valid: {', '.join(_KEYS)})")
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
