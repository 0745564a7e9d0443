"""How an engine uses its device, beyond sizes: what a plan may say and an engine may take."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def _option(**bounds: Any) -> Any:
    """An option that is left out of what is written where it is not set.

    So a plan that sets none has the hash that it had before there were such options.
    """
    return Field(default=None, exclude_if=lambda value: value is None, **bounds)


class Tuning(BaseModel):
    """Options of an engine; None leaves each to the engine.

    ``tensor_parallel`` is over how many GPUs every layer is split, ``memory_share`` the part (0 to
    1) of a GPU's memory that weights, workspace and key-value cache may take together,
    ``batched_tokens`` how many tokens of all sequences one step computes at most. The backends are
    kernels by the engine's own names. ``eager`` runs without CUDA graphs and compilation, as no
    deployment does. ``engine_args`` are words for the engine's command line, as it takes them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tensor_parallel: int | None = _option(ge=1)
    memory_share: float | None = _option(gt=0, le=1)
    batched_tokens: int | None = _option(ge=1)
    attention_backend: str | None = _option(min_length=1)
    linear_backend: str | None = _option(min_length=1)
    eager: bool | None = _option()
    engine_args: tuple[str, ...] | None = _option(min_length=1)

    def given(self) -> dict[str, Any]:
        """The options of this class that are set, by name."""
        values = {name: getattr(self, name) for name in Tuning.model_fields}
        return {name: value for name, value in values.items() if value is not None}


UNTUNED = Tuning()


def refused_option(
    given: Tuning, title: str, takes: frozenset[str], own_flags: frozenset[str]
) -> str | None:
    """Why an engine cannot be tuned so, as ``key: reason``; None where it can.

    ``takes`` are the options it has, ``own_flags`` the flags of its command line that are set
    already.
    """
    for name in given.given():
        if name not in takes:
            return f"{name}: {title} has no such option (it takes: {_names(takes)})"
    for word in given.engine_args or ():
        flag = word.partition("=")[0]
        if flag in own_flags:
            return f"engine_args: {flag} is set already, from another key of the plan"
    return None


def _names(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"
