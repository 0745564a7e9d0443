"""GPTQ: layers quantized column by column, the error carried into the columns still to come.

Source: Frantar et al., "GPTQ", arXiv 2210.17323. vLLM takes 4 and 8 bits, symmetric, without
activation order.
"""

from collections.abc import Mapping
from typing import Any

from gptqmodel import BACKEND, QuantizeConfig
from gptqmodel.quantization import FORMAT, METHOD

from quantize.layer_by_layer import run


def _config(parameters: Mapping[str, Any], offload: str) -> QuantizeConfig:
    return QuantizeConfig(
        bits=parameters["bits"],
        group_size=parameters["group_size"],
        sym=parameters["symmetric"],
        desc_act=parameters["desc_act"],
        damp_percent=parameters["damp_percent"],
        act_group_aware=parameters["act_group_aware"],
        quant_method=METHOD.GPTQ,
        format=FORMAT.GPTQ,
        device="cpu",
        # The tool's other packers are compiled on first use, into the user's home directory.
        pack_impl="original",
        offload_to_disk_path=offload,
    )


if __name__ == "__main__":
    run(_config, BACKEND.AUTO)
