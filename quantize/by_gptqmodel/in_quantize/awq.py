"""AWQ: channels that see large activations are scaled up before rounding to the nearest.

Source: Lin et al., "AWQ", arXiv 2306.00978. With zero points and in the GEMM layout, which the
fast GPU kernels need.
"""

from collections.abc import Mapping
from typing import Any

import torch
from gptqmodel import QuantizeConfig
from gptqmodel.looper.awq_processor import AWQProcessor
from gptqmodel.quantization import FORMAT, METHOD

from quantize.by_gptqmodel.in_quantize.awq_clip import best_clip

# The search runs the layer twenty times on its inputs, which is most of the time AWQ takes. On the
# reference model (held-out text, all 32768 calibration tokens as the measure) half of them were no
# worse (-0.0024 and -0.0016 nats per token, errors 0.0011, groups of 128 and 64), but a quarter
# was: +0.0029 and +0.0023, errors 0.0010 and 0.0008.
_SEARCH_TOKENS = 16384


def config(parameters: Mapping[str, Any], device: str, offload: str) -> QuantizeConfig:
    """The tool's configuration; layers are put aside in the folder ``offload``."""
    return QuantizeConfig(
        bits=parameters["bits"],
        group_size=parameters["group_size"],
        sym=parameters["symmetric"],
        quant_method=METHOD.AWQ,
        format=FORMAT.GEMM,
        device=device,
        offload_to_disk_path=offload,
    )


def hasten() -> None:
    """Give the tool's searches our clip search and fewer tokens; to be called once."""
    search = AWQProcessor._search_best_scale

    def on_some_tokens(
        processor: Any, module: Any, prev_op: Any, layers: Any, inp: torch.Tensor, **others: Any
    ) -> Any:
        return search(processor, module, prev_op, layers, some_rows(inp), **others)

    AWQProcessor._search_best_scale = on_some_tokens
    AWQProcessor._compute_best_clip = best_clip


def some_rows(inputs: torch.Tensor) -> torch.Tensor:
    """Every n-th row of (sequences, length, channels) or (tokens, channels), about 16384 tokens."""
    tokens = inputs.numel() // inputs.shape[-1]
    return inputs[:: max(1, tokens // _SEARCH_TOKENS)]
