"""What one variant holds while it is awake, and of which memory. Pure.

On a GPU: weights, key-value cache and workspace, of that GPU (``quantize/sizing/capacity.py``). On
a CPU: the same without a GPU's own context, and the engine's processes, of the machine's memory.
"""

from dataclasses import dataclass
from typing import Literal

from quantize.sizing.capacity import GIB, need
from quantize.source.model_shape import ModelShape
from quantize.source.published import Published
from services.variants import Variant

Kind = Literal["GPU", "machine"]
# An engine that emulates a format computes with its weights in float32.
_EMULATED_WEIGHT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is asked of an engine at once: ``sequences`` requests of ``tokens``, or one of
    ``context`` tokens. ``cache_gib`` is the key-value cache it is given; None: what these need.
    """

    context: int
    tokens: int
    sequences: int
    cache_gib: float | None


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes of one kind of memory."""

    kind: Kind
    size_bytes: int


def bytes_on_gpu(
    shape: ModelShape, variant: Variant, demand: Demand, published: Published | None = None
) -> int:
    """What a variant takes of a GPU's memory; ``published`` is the checkpoint it may serve."""
    loads = ((demand.tokens, demand.sequences), (demand.context, 1))
    needs = [
        need(shape, variant.recipe, context=tokens, concurrency=count, published=published)
        for tokens, count in loads
    ]
    if demand.cache_gib is None:
        return int(max(item.total_bytes for item in needs))
    without = max(item.total_bytes - item.cache_bytes for item in needs)
    return int(without + demand.cache_gib * GIB)


def bytes_on_cpu(
    shape: ModelShape, variant: Variant, demand: Demand, published: Published | None = None
) -> int:
    """What a variant takes of the machine's memory: its processes, weights, cache, activations."""
    model = need(
        shape,
        variant.recipe,
        context=demand.tokens,
        concurrency=demand.sequences,
        published=published,
    )
    parameters = shape.parameters if published is None else published.parameters
    emulated = _EMULATED_WEIGHT_BYTES * parameters
    cache = model.cache_bytes if demand.cache_gib is None else demand.cache_gib * GIB
    return int(
        variant.engine.process_bytes
        + (emulated if variant.engine.emulated else model.weight_bytes)
        + model.activation_bytes
        + cache
    )
