"""On which kernels an engine computes, as it says itself: a record that travels with its proof."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LinearKernel(_Record):
    """Linear layers that are stored and computed alike.

    ``method`` is the engine's own name for how they are stored, ``kernel`` for what multiplies
    them (None: the method itself does). ``names`` are the last parts of the layers' names; the
    log knows neither them nor how many ``layers`` there are.
    """

    method: str
    kernel: str | None = None
    layers: int | None = None
    names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What computes them, in one word."""
        return self.kernel or self.method

    @property
    def what(self) -> str:
        """How many layers they are: ``its 96 linear layers``."""
        if self.layers is None:
            return "linear layers"
        return f"{self.layers} linear layer{'' if self.layers == 1 else 's'}"


class AttentionKernel(_Record):
    """Attention layers with one backend; ``version`` is FlashAttention's, where it is that."""

    backend: str
    version: int | None = None
    layers: int | None = None

    @property
    def name(self) -> str:
        """``FLASH_ATTN 3``."""
        return self.backend if self.version is None else f"{self.backend} {self.version}"


class Kernels(_Record):
    """All that computes a model. None is what neither the engine nor its log tells.

    ``capability`` is the GPU's compute capability (None on a CPU), ``graphs`` the engine's name
    for its mode of CUDA graphs, ``eager`` whether it has neither graphs nor compilation.
    ``remarks`` are what a reader must know of these kernels, found by the engine's own table.
    """

    device: Literal["cpu", "gpu"]
    capability: str | None = None
    linear: tuple[LinearKernel, ...] = ()
    attention: tuple[AttentionKernel, ...] = ()
    graphs: str | None = None
    compiled: bool | None = None
    eager: bool | None = None
    source: Literal["engine", "log"] = "engine"
    remarks: tuple[str, ...] = ()

    @property
    def linear_phrase(self) -> str:
        """What multiplies, the most layers first: ``MarlinLinearKernel``."""
        ordered = sorted(self.linear, key=lambda item: -(item.layers or 0))
        return ", ".join(dict.fromkeys(item.name for item in ordered)) or "unknown"

    @property
    def attention_phrase(self) -> str:
        """What attends."""
        return ", ".join(dict.fromkeys(item.name for item in self.attention)) or "unknown"

    @property
    def mode_phrase(self) -> str:
        """Whether steps are captured and compiled; empty on a CPU, where neither pays."""
        if self.device == "cpu":
            return ""
        if self.eager:
            return "eager"
        graphs = "no" if self.graphs == "NONE" else (self.graphs or "unknown").lower()
        compiled = {True: ", compiled", False: ", not compiled", None: ""}[self.compiled]
        return f"{graphs} CUDA graphs{compiled}"

    @property
    def phrase(self) -> str:
        """All of it in one line."""
        parts = [self.linear_phrase, f"attention {self.attention_phrase}", self.mode_phrase]
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Why kernels are refused (None: they are not), and what must be said of them else."""

    refusal: str | None = None
    remarks: tuple[str, ...] = ()


def completed(told: Kernels | None, logged: Kernels | None) -> Kernels | None:
    """What an engine tells, with what only its log knows."""
    if told is None or logged is None:
        return told or logged
    kernels = {item.method: item.kernel for item in logged.linear}
    named = {item.kernel for item in logged.linear if item.kernel is not None}
    # Its log may call a method otherwise than its objects do; one kernel alone can only be theirs.
    only = named.pop() if len(named) == 1 else None
    versions = {item.backend: item.version for item in logged.attention}
    return told.model_copy(
        update={
            "linear": tuple(
                item.model_copy(update={"kernel": item.kernel or kernels.get(item.method, only)})
                if not item.method.startswith("Unquantized")
                else item
                for item in told.linear
            ),
            "attention": tuple(
                item.model_copy(update={"version": item.version or versions.get(item.backend)})
                for item in told.attention
            )
            or logged.attention,
            "eager": logged.eager if told.eager is None else told.eager,
        }
    )
