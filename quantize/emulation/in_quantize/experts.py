"""A mixture of experts with one linear layer per expert and projection.

transformers keeps all experts of a layer in two tensors; a quantized checkpoint has a scale, and
an input to round, for each of them. So the fused module is exchanged for one made of plain linear
layers that computes the same.
"""

from typing import Any

import torch
from torch import Tensor, nn


class _Expert(nn.Module):  # type: ignore[misc]
    def __init__(self, hidden: int, inner: int, activation: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden, inner, bias=False, dtype=dtype)
        self.up_proj = nn.Linear(hidden, inner, bias=False, dtype=dtype)
        self.down_proj = nn.Linear(inner, hidden, bias=False, dtype=dtype)
        self.act_fn = activation

    def forward(self, states: Tensor) -> Tensor:
        gated = self.act_fn(self.gate_proj(states)) * self.up_proj(states)
        return self.down_proj(gated)


class SplitExperts(nn.ModuleList):  # type: ignore[misc]
    """The experts of one layer by number; called as transformers calls its fused ones."""

    def forward(self, states: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Sum of every token's chosen experts.

        ``states`` ``(tokens, hidden)``; ``chosen`` and ``weights`` ``(tokens, top_k)``.
        """
        total = torch.zeros_like(states)
        for number in chosen.unique().tolist():
            tokens, places = torch.where(chosen == number)
            share = weights[tokens, places, None]
            total.index_add_(0, tokens, (self[number](states[tokens]) * share).to(total.dtype))
        return total


def split_experts(model: nn.Module) -> None:
    """Exchange every fused experts module of a model, in place, before its weights are filled."""
    fused = [(name, item) for name, item in model.named_modules() if name.endswith(".mlp.experts")]
    for name, module in fused:
        model.set_submodule(name, _split(module))


def _split(module: Any) -> SplitExperts:
    count, doubled, hidden = module.gate_up_proj.shape
    dtype = module.gate_up_proj.dtype
    with torch.device("meta"):
        experts = [_Expert(hidden, doubled // 2, module.act_fn, dtype) for _ in range(count)]
    return SplitExperts(experts)
