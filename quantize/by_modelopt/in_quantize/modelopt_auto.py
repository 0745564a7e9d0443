"""AutoQuantize: each layer NVFP4, FP8 or 16 bits, chosen by what it costs in quality.

modelopt estimates by gradients how much the loss rises when a layer is rounded to a format, and
chooses the formats by linear programming so that the weights cost at most the budget. Layers that
engines fuse (query, key and value; gate and up) get the same format.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import modelopt.torch.quantization as mtq
import torch
from torch.nn import functional

from quantize.by_modelopt.in_quantize.modelopt_backend import with_backend
from quantize.jobs.job_module import Progress

# What modelopt's presets leave in 16 bits too; the search goes by these names alone.
_KEPT = ("*lm_head*", "*router*", "*mlp.gate.*", "*block_sparse_moe.gate*")
_ROWS = 4


def search(
    model: Any,
    batches: Sequence[torch.Tensor],
    parameters: Mapping[str, Any],
    tell: Callable[[Progress], None],
) -> None:
    """Choose every layer's format and calibrate it; ``batches`` are (rows, length) token ids.

    ``parameters``: ``budget_bits`` of one weight on average, scales counted, and ``score_steps``,
    the number of small batches whose gradients are looked at.
    """
    small = [part for batch in batches for part in batch.split(_ROWS)]
    steps = min(len(small), int(parameters["score_steps"]))
    done = itertools.count(1)

    def forward(network: Any, ids: torch.Tensor) -> Any:
        tell(Progress("trying formats, pass", next(done)))
        return network(input_ids=ids, use_cache=False)

    mtq.auto_quantize(
        model,
        constraints={
            "effective_bits": parameters["budget_bits"],
            "cost": {"excluded_module_name_patterns": list(_KEPT)},
        },
        quantization_formats=[
            with_backend(mtq.NVFP4_DEFAULT_CFG),
            with_backend(mtq.FP8_DEFAULT_CFG),
        ],
        data_loader=small,
        forward_step=forward,
        loss_func=_loss,
        disabled_layers=list(_KEPT),
        num_calib_steps=len(small),
        num_score_steps=steps,
    )


def _loss(output: Any, ids: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood of the next token, in nats."""
    logits = output.logits[:, :-1].float()
    return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
