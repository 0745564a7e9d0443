"""Plain rounding to the nearest, without calibration: what GPTQ and AWQ must better.

The scale of a group is that of its largest weight; the checkpoint is GPTQ's, so that every engine
that loads the one loads the other.
"""

from collections.abc import Mapping
from typing import Any

from gptqmodel import QuantizeConfig
from gptqmodel.quantization import FORMAT, METHOD
from gptqmodel.quantization.config import RTNConfig


def config(parameters: Mapping[str, Any], device: str, offload: str) -> QuantizeConfig:
    """The tool's configuration; layers are put aside in the folder ``offload``."""
    return RTNConfig(
        bits=parameters["bits"],
        group_size=parameters["group_size"],
        sym=parameters["symmetric"],
        desc_act=False,
        method=METHOD.GPTQ,
        format=FORMAT.GPTQ,
        device=device,
        # The tool's other packers are compiled on first use, into the user's home directory.
        pack_impl="original",
        offload_to_disk_path=offload,
    )
