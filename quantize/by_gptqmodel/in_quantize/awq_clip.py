"""AWQ's clip search with matrix products: the same bounds as GPTQModel's, many times faster.

GPTQModel 7.6 multiplies every input with every weight element by element and then sums; on a CPU
that is most of AWQ's time. The sums are matrix products, which also accumulate in single
precision where bfloat16 products are rounded one by one.
"""

from typing import Any

import torch

_ROWS_AT_ONCE = 256


def best_clip(
    processor: Any,
    w: torch.Tensor,
    input_feat: torch.Tensor,
    n_grid: int = 20,
    max_shrink: float = 0.5,
    n_sample_token: int = 512,
) -> torch.Tensor:
    """The bound per row and group that keeps a layer's outputs nearest to the unclipped ones.

    Takes the place of ``AWQProcessor._compute_best_clip`` and has its parameters. ``w`` is
    (outputs, inputs), ``input_feat`` (..., inputs); returns (outputs, groups, 1).
    """
    outputs, inputs = w.shape
    group = processor.qcfg.group_size if processor.qcfg.group_size > 0 else inputs
    tokens = input_feat.reshape(-1, inputs // group, group)
    tokens = tokens[:: max(1, tokens.shape[0] // n_sample_token)]
    by_group = tokens.to(w.device).transpose(0, 1).contiguous()  # (groups, tokens, group)
    weights = w.reshape(outputs, inputs // group, group)
    with torch.inference_mode():
        found = [
            _best_bounds(processor, rows, by_group, n_grid, int(max_shrink * n_grid))
            for rows in weights.split(_ROWS_AT_ONCE)
        ]
        return torch.cat(found)


def _best_bounds(
    processor: Any, rows: torch.Tensor, tokens: torch.Tensor, n_grid: int, steps: int
) -> torch.Tensor:
    """Bounds of some rows (rows, groups, group) for inputs (groups, tokens, group)."""
    widest = rows.abs().amax(dim=-1, keepdim=True)  # (rows, groups, 1)
    best = widest.clone()
    least = torch.full(widest.shape[:2], torch.inf, device=rows.device)
    exact = _outputs(tokens, rows)
    quantized = torch.empty_like(rows, memory_format=torch.contiguous_format)
    for step in range(steps):
        bound = widest * (1 - step / n_grid)
        processor._pseudo_quantize_tensor_into(rows.clamp(-bound, bound), quantized)
        error = (_outputs(tokens, quantized) - exact).float().pow(2).mean(dim=1).T
        better = error < least
        least[better] = error[better]
        best[better] = bound[better]
    return best


def _outputs(tokens: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """What each group adds to the layer's outputs: (groups, tokens, rows)."""
    return torch.matmul(tokens, rows.permute(1, 2, 0))
