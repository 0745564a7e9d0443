"""GPTQ: layers quantized column by column, the error carried into the columns still to come.

Source: Frantar et al., "GPTQ", arXiv 2210.17323. Activation order takes the columns with the
largest inputs first; its milder form (``act_group_aware``) takes whole groups in that order, so
that the layout stays the plain one.
"""

from collections.abc import Mapping
from typing import Any

from gptqmodel import QuantizeConfig
from gptqmodel.quantization import FORMAT, METHOD


def config(parameters: Mapping[str, Any], device: str, offload: str) -> QuantizeConfig:
    """The tool's configuration; layers are put aside in the folder ``offload``."""
    return QuantizeConfig(
        bits=parameters["bits"],
        group_size=parameters["group_size"],
        sym=parameters["symmetric"],
        desc_act=parameters["desc_act"],
        damp_percent=parameters["damp_percent"],
        act_group_aware=parameters["act_group_aware"],
        quant_method=METHOD.GPTQ,
        format=FORMAT.GPTQ,
        device=device,
        # The tool's other packers are compiled on first use, into the user's home directory.
        pack_impl="original",
        offload_to_disk_path=offload,
    )
