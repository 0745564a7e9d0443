"""Run GPTQModel on requests; in the ``quantize`` environment (see tool_server.py).

The model's layers are loaded, quantized and put aside on disk one after the other, so that memory
stays near that of one layer and the inputs of all calibration tokens. Where torch sees a GPU, each
layer visits it; that path has not been run yet.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from gptqmodel import BACKEND, GPTQModel, QuantizeConfig

from quantize.by_gptqmodel.in_quantize import awq, gptq, rtn
from quantize.by_gptqmodel.in_quantize.gptqmodel_proof import RoundedWeights
from quantize.calibration.calibration_set import CalibrationError, plan_from_json, token_sha256
from quantize.calibration.in_quantize.calibration_tokens import calibration_tokens
from quantize.jobs.tool_server import BadRequest, serve

_BATCH_SIZE = 4
_CONFIGS: Mapping[str, Callable[[Mapping[str, Any], str, str], QuantizeConfig]] = {
    "gptq": gptq.config,
    "awq": awq.config,
    "rtn": rtn.config,
}
# The default kernel of AWQ's search needs a GPU.
_BACKENDS = {"awq": BACKEND.TORCH_AWQ}


def carry_out(request: dict[str, Any]) -> None:
    """Quantize the model of ``request`` and save it in the folder ``saved``.

    Raises:
        BadRequest: the calibration text is at fault.
    """
    torch.manual_seed(0)
    torch.set_num_threads(request["threads"])
    # The scratch folder of the last request is gone by now.
    os.environ["TMPDIR"] = tempfile.tempdir = request["scratch"]
    method = request["method"]
    calibrated = method != "rtn"
    plan = plan_from_json(request["calibration"])
    try:
        wanted = calibrated or request["proof"]
        sequences = calibration_tokens(Path(request["model"]), plan) if wanted else []
    except CalibrationError as error:
        raise BadRequest(str(error)) from None
    digest = token_sha256(sequences) if calibrated else None
    Path(request["outcome"]).write_text(json.dumps({"calibration_sha256": digest}))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = _CONFIGS[method](request["parameters"], device, request["offload"])
    model = GPTQModel.load(request["model"], config, dtype=torch.bfloat16, trust_remote_code=False)
    batch = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in sequences]
    with RoundedWeights(keep=bool(request["proof"])) as rounded:
        model.quantize(
            batch if calibrated else None,
            batch_size=_BATCH_SIZE,
            backend=_BACKENDS.get(method, BACKEND.AUTO),
        )
    model.save(request["saved"])
    if request["proof"]:
        rounded.write_proof(request, sequences)


if __name__ == "__main__":
    awq.hasten()
    serve(carry_out)
