"""Attention over a cache with one slot per sequence, as a transformers attention function.

Each sequence's new tokens are one contiguous run of the row; they are written into its slot at
their positions and look at everything up to themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from quantize.formats.in_quantize.activations import CacheRounding


@dataclass(frozen=True)
class Run:
    """Tokens ``first`` to ``last`` (exclusive) of the row belong to ``slot`` from ``start`` on."""

    slot: int
    start: int
    first: int
    last: int


def runs_of(slots: Sequence[int], positions: Sequence[int]) -> list[Run]:
    """The runs of consecutive positions of one slot, in the order of the row."""
    runs: list[Run] = []
    for place, (slot, position) in enumerate(zip(slots, positions, strict=True)):
        last = runs[-1] if runs else None
        if last and last.slot == slot and position == last.start + place - last.first:
            runs[-1] = Run(slot, last.start, last.first, place + 1)
        else:
            runs.append(Run(slot, position, place, place + 1))
    return runs


class SlotCache:
    """Keys and values in float32, ``(slots, key heads, context, head size)`` per layer.

    Memory is claimed by the operating system only as positions are first written.
    """

    def __init__(
        self,
        config: Any,
        slots: int,
        context_length: int,
        device: torch.device,
        roundings: Mapping[int, CacheRounding],
    ) -> None:
        size = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        shape = (slots, config.num_key_value_heads, context_length, size)
        layers = range(config.num_hidden_layers)
        self._keys = [torch.empty(shape, device=device) for _ in layers]
        self._values = [torch.empty(shape, device=device) for _ in layers]
        self._roundings = roundings

    def store(self, layer: int, keys: Tensor, values: Tensor, runs: Sequence[Run]) -> None:
        """Write ``(key heads, tokens, head size)`` of a row's tokens, rounded as the cache is."""
        rounding = self._roundings.get(layer)
        if rounding is not None:
            keys, values = rounding(keys, values)
        for run in runs:
            place = slice(run.start, run.start + run.last - run.first)
            self._keys[layer][run.slot, :, place] = keys[:, run.first : run.last]
            self._values[layer][run.slot, :, place] = values[:, run.first : run.last]

    def upto(self, layer: int, slot: int, length: int) -> tuple[Tensor, Tensor]:
        """A slot's first ``length`` keys and values, ``(1, key heads, length, head size)``."""
        keys, values = self._keys[layer], self._values[layer]
        return keys[slot : slot + 1, :, :length], values[slot : slot + 1, :, :length]


def slot_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    runs: Sequence[Run],
    cache: SlotCache,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of one row of tokens: ``(1, heads, tokens, size)`` to ``(1, tokens, heads, size)``.

    ``key`` and ``value`` have as many heads as the cache. ``attention_mask`` is never given.
    """
    assert attention_mask is None
    cache.store(module.layer_idx, key[0], value[0], runs)
    out = torch.empty_like(query)
    for run in runs:
        length = run.start + run.last - run.first
        keys, values = cache.upto(module.layer_idx, run.slot, length)
        out[:, :, run.first : run.last] = scaled_dot_product_attention(
            query[:, :, run.first : run.last],
            keys,
            values,
            attn_mask=_mask(run, sliding_window, query.device),
            scale=scaling,
            enable_gqa=True,
        )
    return out.transpose(1, 2).contiguous(), None


def _mask(run: Run, window: int | None, device: torch.device) -> Tensor | None:
    """Which positions each token may look at, ``(tokens, positions)``; None where all."""
    length = run.start + run.last - run.first
    if run.last - run.first == 1 and (window is None or length <= window):
        return None
    rows = torch.arange(run.start, length, device=device)[:, None]
    columns = torch.arange(length, device=device)
    allowed = columns <= rows
    # As transformers counts it: the token itself and the ``window - 1`` before it.
    return allowed if window is None else allowed & (columns > rows - window)
