"""What a model needs in memory when it is served, and how much of it a device holds.

memory = weights + key-value cache + activations + engine

* weights: weight_bytes.py.
* key-value cache, bytes of one token: 2 (keys and values) x KV heads x head size x bytes per
  value, summed over the blocks; a block with a sliding window keeps no more than the window
  (grouped-query attention, arXiv:2305.13245; paged caches waste less than a block per sequence,
  arXiv:2309.06180, which is left out).
* activations: the widest moment of one forward pass over a batch of tokens: residual stream,
  its normalised copy, and the gate and up projections, at 16 bits, plus one row of float32 logits
  per sequence.
* engine: the device's context, kernels and graphs, a constant for every engine.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from quantize.fitness import context_limit
from quantize.recipes.recipe import Recipe
from quantize.sizing.weight_bytes import bits_per_weight, weight_bytes
from quantize.source.model_shape import ModelShape
from quantize.source.published import Published

GIB = 1 << 30
# Tokens of one forward pass: vLLM's and TensorRT-LLM's usual chunk of a prompt.
BATCH_TOKENS = 8192
# What a CUDA context, its libraries and its graphs take beside the model: 1 to 2 GiB as a rule.
ENGINE_BYTES = int(1.5 * GIB)
# The part of a device's memory that an engine may plan with (vLLM's default is 0.92).
USABLE = 0.92
_ACTIVATION_BYTES = 2
_LOGIT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A device by its memory in bytes; ``shared`` memory also holds the system and its programs."""

    name: str
    memory_bytes: int
    shared: bool = False

    @property
    def usable_bytes(self) -> int:
        """What an engine may use of it: of shared memory, the system's share is left out first."""
        free = self.memory_bytes - (SYSTEM_BYTES if self.shared else 0)
        return max(0, int(free * USABLE))


SYSTEM_BYTES = 8 * GIB
# Dedicated memory as the driver reports it, MiB; DGX Spark: 128 GB of LPDDR5x for CPU and GPU.
DEVICES = (
    Placement(name="RTX 4090", memory_bytes=24_564 << 20),
    Placement(name="RTX 5090", memory_bytes=32_607 << 20),
    Placement(name="RTX 6000 Ada", memory_bytes=49_140 << 20),
    Placement(name="RTX PRO 6000", memory_bytes=97_887 << 20),
    Placement(name="DGX Spark", memory_bytes=128 * 10**9, shared=True),
    Placement(name="H100", memory_bytes=81_559 << 20),
    Placement(name="H200", memory_bytes=143_771 << 20),
    Placement(name="B200", memory_bytes=183_359 << 20),
)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What a device holds: sequences at the asked context, and tokens at the asked concurrency.

    Both are 0 where not even one sequence or token fits beside the weights.
    """

    concurrency: int
    context: int


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a model needs under one recipe, in bytes; ``cache_bytes`` at the asked load."""

    recipe: str
    bits_per_weight: float
    weight_bytes: float
    cache_bytes: float
    activation_bytes: float

    @property
    def total_bytes(self) -> float:
        """Everything, the engine's own share included."""
        return self.weight_bytes + self.cache_bytes + self.activation_bytes + ENGINE_BYTES


def cache_bytes(shape: ModelShape, context: int, value_bytes: int) -> int:
    """Bytes of the key-value cache of one sequence of ``context`` tokens."""
    tokens = sum(min(context, window) if window else context for window in shape.windows)
    return 2 * tokens * shape.kv_heads * shape.head_size * value_bytes


def activation_bytes(shape: ModelShape, concurrency: int) -> int:
    """Bytes of the widest moment of a forward pass, and of its logits."""
    per_token = 2 * shape.hidden + 2 * shape.feed_forward
    logits = concurrency * shape.vocabulary * _LOGIT_BYTES
    return BATCH_TOKENS * per_token * _ACTIVATION_BYTES + logits


def need(
    shape: ModelShape,
    recipe: Recipe,
    *,
    context: int,
    concurrency: int,
    published: Published | None = None,
) -> Need:
    """What ``concurrency`` sequences of ``context`` tokens need under a recipe.

    ``published`` is the checkpoint that a recipe serves as it is: its weights are as stored.
    """
    each = cache_bytes(shape, context, recipe.format.cache_bytes)
    return Need(
        recipe=recipe.name,
        bits_per_weight=_bits(shape, recipe, published),
        weight_bytes=_weights(shape, recipe, published),
        cache_bytes=concurrency * each,
        activation_bytes=activation_bytes(shape, concurrency),
    )


def _weights(shape: ModelShape, recipe: Recipe, published: Published | None) -> float:
    if recipe.as_published:
        assert published is not None, recipe.name
        return published.weight_bytes
    return weight_bytes(shape, recipe)


def _bits(shape: ModelShape, recipe: Recipe, published: Published | None) -> float:
    if recipe.as_published:
        assert published is not None, recipe.name
        return published.bits_per_weight
    return bits_per_weight(shape, recipe)


def fit(
    shape: ModelShape,
    recipe: Recipe,
    device: Placement,
    *,
    context: int,
    concurrency: int,
    published: Published | None = None,
) -> Fit:
    """The most sequences of ``context`` tokens, and the longest context of ``concurrency``."""
    value_bytes = recipe.format.cache_bytes
    free = device.usable_bytes - ENGINE_BYTES - _weights(shape, recipe, published)
    idle = activation_bytes(shape, 0)
    per_sequence = cache_bytes(shape, context, value_bytes) + activation_bytes(shape, 1) - idle
    most = max(0, int((free - idle) // per_sequence))
    left = free - activation_bytes(shape, concurrency)
    limit = context_limit(recipe, shape) or shape.positions
    return Fit(concurrency=most, context=_longest(shape, left / concurrency, value_bytes, limit))


def _longest(shape: ModelShape, budget: float, value_bytes: int, limit: int) -> int:
    """The longest context, up to ``limit``, whose cache fits a budget in bytes."""
    low, high = 0, min(limit, shape.positions)
    while low < high:
        middle = (low + high + 1) // 2
        if cache_bytes(shape, middle, value_bytes) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def needs(
    shape: ModelShape,
    recipes: Iterable[Recipe],
    *,
    context: int,
    concurrency: int,
    published: Published | None = None,
) -> list[Need]:
    """What each recipe needs, the smallest weights last."""
    found = [
        need(shape, recipe, context=context, concurrency=concurrency, published=published)
        for recipe in recipes
    ]
    return sorted(found, key=lambda item: -item.weight_bytes)
