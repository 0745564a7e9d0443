"""AWQ: channels that see large activations are scaled up before rounding to the nearest.

Source: Lin et al., "AWQ", arXiv 2306.00978. With zero points and in the GEMM layout, which the
fast GPU kernels need.
"""

from collections.abc import Mapping
from typing import Any

from gptqmodel import BACKEND, QuantizeConfig
from gptqmodel.looper.awq_processor import AWQProcessor
from gptqmodel.quantization import FORMAT, METHOD

from quantize.awq_clip import best_clip
from quantize.layer_by_layer import run


def _config(parameters: Mapping[str, Any], offload: str) -> QuantizeConfig:
    return QuantizeConfig(
        bits=parameters["bits"],
        group_size=parameters["group_size"],
        sym=parameters["symmetric"],
        quant_method=METHOD.AWQ,
        format=FORMAT.GEMM,
        device="cpu",
        offload_to_disk_path=offload,
    )


if __name__ == "__main__":
    AWQProcessor._compute_best_clip = best_clip
    # The default kernel of the search needs a GPU.
    run(_config, BACKEND.TORCH_AWQ)
