"""Hold the kernels that vLLM runs on against what is expected there. Pure.

What would make a figure false is refused: a checkpoint that is served unquantized, a format that is
emulated where there is a kernel for it. What makes it true of this start alone is called by name: a
slow kernel, weights that are only read, eager mode.
"""

import shlex
from collections.abc import Iterator, Sequence
from typing import Literal

from services.engines.kernels import Judgement, Kernels, LinearKernel
from services.engines.tuning import Tuning
from services.engines.vllm_kernel_table import (
    ATTENTION,
    EMBEDDING,
    EMULATED,
    EXPECTED,
    HEADS,
    KINDS,
    KNOWN_FAULTS,
    SLOW,
    UNQUANTIZED,
    Expected,
    Kind,
    capability_row,
)

# ``unknown`` is a kernel that no table names.
Way = Literal["native", "weight-only", "emulated", "slow", "unknown"]


def judge_kernels(kernels: Kernels, checkpoint: str, tuning: Tuning) -> Judgement:
    """Whether these kernels may serve a checkpoint (a name of the FORMATS table), and what to say.

    ``tuning`` is what the plan asks for: what it asked for by name is never refused.
    """
    refusal = _refusal(kernels, checkpoint, tuning)
    return Judgement(refusal=refusal, remarks=tuple(_remarks(kernels, checkpoint, tuning)))


def _refusal(kernels: Kernels, checkpoint: str, tuning: Tuning) -> str | None:
    kind, quantized = KINDS.get(checkpoint), _linear(kernels)
    if kind is None or not quantized:
        return None
    if kind != "bf16" and all(item.method == UNQUANTIZED for item in quantized):
        return _served_unquantized(quantized, checkpoint, tuning)
    expected = _expected(kernels, kind)
    emulated = [item for item in quantized if _is_emulated(item)]
    if emulated and expected and expected.best and tuning.linear_backend != "emulation":
        return (
            f"{emulated[0].name} emulates its {emulated[0].what} in wider numbers, though compute "
            f"capability {kernels.capability} has {_or(expected.best)} for {checkpoint}; set "
            f"`linear_backend: {expected.backend}` for the variant, or install a vLLM whose wheel "
            "has that kernel"
        )
    return None


def _served_unquantized(quantized: Sequence[LinearKernel], checkpoint: str, tuning: Tuning) -> str:
    layers = sum(item.layers or 0 for item in quantized)
    count = f"all {layers} linear layers" if layers else "every linear layer"
    remedy = "delete the artifact and run `make quantize`"
    if tuning.engine_args:
        words = shlex.join(tuning.engine_args)
        remedy = f"take engine_args ({words}) out of the plan, or if that does not help, {remedy}"
    return (
        f"vLLM serves the {checkpoint} checkpoint unquantized: {count} are {UNQUANTIZED}; {remedy}"
    )


def _remarks(kernels: Kernels, checkpoint: str, tuning: Tuning) -> Iterator[str]:
    """What must be said of kernels that are not refused, a line each with the remedy."""
    kind = KINDS.get(checkpoint)
    if kind is not None:
        for item in _linear(kernels):
            yield from _linear_remarks(item, kernels, kind, checkpoint)
        yield from _kept_remarks(kernels, kind)
    if kernels.device == "gpu":
        yield from _attention_remarks(kernels)
        yield from _mode_remarks(kernels, tuning)


def way_of(item: LinearKernel, expected: Expected) -> Way:
    """How a kernel computes what such kernels are expected for."""
    if _is_emulated(item):
        return "emulated"
    if _begins(item.name, expected.native):
        return "native"
    if _begins(item.name, expected.weight_only):
        return "weight-only"
    return "slow" if _begins(item.name, SLOW) else "unknown"


def _is_emulated(item: LinearKernel) -> bool:
    return _plain(EMULATED) in _plain(item.name)


def _begins(name: str, kernels: tuple[str, ...]) -> bool:
    """Whether a name is one of these kernels': a class's, or a backend's (``VLLM_CUTLASS``)."""
    plain = _plain(name)
    return any(plain.startswith(_plain(it)) or _plain(it).startswith(plain) for it in kernels)


def _plain(name: str) -> str:
    return name.lower().removeprefix("vllm_").replace("_", "")


def _linear(kernels: Kernels) -> list[LinearKernel]:
    """The layers that a recipe quantizes: neither embeddings and heads nor a mixture's experts."""
    return [
        item
        for item in kernels.linear
        if item.method != EMBEDDING
        and not (item.names and HEADS.issuperset(item.names))
        and "MoE" not in item.method
        and "experts" not in item.names
    ]


def _expected(kernels: Kernels, kind: Kind) -> Expected | None:
    row = capability_row(kernels.capability) if _is_known(kernels) else None
    return None if row is None else EXPECTED.get((kind, row))


def _is_known(kernels: Kernels) -> bool:
    """A log does not tell the capability, and no capability means a CPU."""
    return kernels.device == "cpu" or kernels.capability is not None


def _linear_remarks(
    item: LinearKernel, kernels: Kernels, kind: Kind, checkpoint: str
) -> Iterator[str]:
    expected = _expected(kernels, kind)
    if expected is None or (kind != "bf16" and item.method == UNQUANTIZED):
        return
    here = "a CPU" if kernels.device == "cpu" else f"compute capability {kernels.capability}"
    match way_of(item, expected):
        case "slow":
            yield (
                f"{item.name} is a slow kernel for its {item.what}: on {here} "
                f"{_or(expected.best)} is expected; {_remedy(expected)}, or take a group size and "
                "widths that its tiles divide"
            )
        case "weight-only" if expected.native:
            yield (
                f"{item.name} only reads the weights of {checkpoint}, inputs stay 16 bits wide, "
                f"though {here} has {_or(expected.native)}; {_remedy(expected)}"
            )
        case "weight-only":
            yield (
                f"weight-only on {here}: {item.name} leaves inputs 16 bits wide, so its speed and "
                f"quality say nothing about a device that computes {checkpoint}"
            )
        case "emulated":
            yield (f"{item.name} emulates its {item.what}: the quality counts, the speed does not")
        case "unknown":
            yield (
                f"{item.name} stands in no table for {checkpoint} on {here} (known: "
                f"{', '.join(expected.best) or 'none'}), so nobody says how fast it should be"
            )
    place = (kind, capability_row(kernels.capability))
    for fault in KNOWN_FAULTS:
        if place == (fault.kind, fault.capability) and _begins(item.name, fault.kernels):
            yield f"{item.name} {fault.words}"


def _kept_remarks(kernels: Kernels, kind: Kind) -> Iterator[str]:
    """Linear layers that stay at 16 bits beside quantized ones."""
    linear = _linear(kernels)
    kept = [item for item in linear if item.method == UNQUANTIZED]
    if kind in {"bf16", "mixed"} or not kept or len(kept) == len(linear):
        return
    names = ", ".join(sorted({name for item in kept for name in item.names}))
    verb = "stays" if kept[0].layers == 1 else "stay"
    yield f"{kept[0].what} {verb} at 16 bits" + (f" ({names})" if names else "")


def _attention_remarks(kernels: Kernels) -> Iterator[str]:
    known = ATTENTION.get(capability_row(kernels.capability) or "") if _is_known(kernels) else None
    for item in kernels.attention if known else ():
        name = item.name if item.backend == "FLASH_ATTN" else item.backend
        if item.version is None and item.backend == "FLASH_ATTN":
            continue
        if known and name not in known:
            yield (
                f"attention runs on {item.name}: on compute capability {kernels.capability} "
                f"{_or(known)} is expected; set `attention_backend: {known[0].split()[0]}` for "
                "the variant"
            )


def _mode_remarks(kernels: Kernels, tuning: Tuning) -> Iterator[str]:
    if kernels.eager:
        remedy = "take out `eager: true`" if tuning.eager else "look for the reason in its log"
        yield (
            "eager mode: neither CUDA graphs nor compilation, as nobody deploys it; decoding is "
            f"several times slower for it; {remedy}"
        )
    elif kernels.graphs == "NONE":
        yield "no CUDA graphs, so decoding waits for launches; look for the reason in its log"
    elif kernels.compiled is False:
        yield "CUDA graphs without compilation; look for the reason in its log"


def _remedy(expected: Expected) -> str:
    if expected.backend is None:
        return "no option chooses it"
    return f"set `linear_backend: {expected.backend}` for the variant"


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(names[:2])
