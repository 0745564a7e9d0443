"""Plain rounding to the nearest, without calibration: what GPTQ and AWQ must better.

The scale of a group is that of its largest weight; the checkpoint is GPTQ's, so that every engine
that loads the one loads the other.
"""

from collections.abc import Mapping
from typing import Any

from gptqmodel import BACKEND, QuantizeConfig
from gptqmodel.quantization import FORMAT, METHOD
from gptqmodel.quantization.config import RTNConfig

from quantize.layer_by_layer import run


def _config(parameters: Mapping[str, Any], offload: str) -> QuantizeConfig:
    return RTNConfig(
        bits=parameters["bits"],
        group_size=parameters["group_size"],
        sym=parameters["symmetric"],
        desc_act=False,
        method=METHOD.GPTQ,
        format=FORMAT.GPTQ,
        device="cpu",
        pack_impl="original",
        offload_to_disk_path=offload,
    )


if __name__ == "__main__":
    run(_config, BACKEND.AUTO)
