"""Run GPTQModel on requests; in the ``quantize`` environment (see job_server.py).

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

from quantize.by_gptqmodel.gptqmodel_job import GPTQMODEL, GptqModelRequest
from quantize.by_gptqmodel.in_quantize import awq, gptq, rtn
from quantize.by_gptqmodel.in_quantize.gptqmodel_proof import RoundedWeights
from quantize.calibration.calibration_set import Calibrated, CalibrationError, token_sha256
from quantize.calibration.in_quantize.calibration_tokens import calibration_tokens
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve

_BATCH_SIZE = 4
_CONFIGS: Mapping[str, Callable[[Mapping[str, Any], str, str], QuantizeConfig]] = {
    "gptq": gptq.config,
    "awq": awq.config,
    "rtn": rtn.config,
}
# The default kernel of AWQ's search needs a GPU.
_BACKENDS = {"awq": BACKEND.TORCH_AWQ}


def carry_out(request: GptqModelRequest, tell: Callable[[Progress], None]) -> Calibrated:
    """Quantize the model of ``request`` and save it in the folder ``saved``.

    Raises:
        BadRequest: the calibration text is at fault.
    """
    torch.manual_seed(0)
    torch.set_num_threads(request.threads)
    # The scratch folder of the last request is gone by now.
    os.environ["TMPDIR"] = tempfile.tempdir = str(request.scratch)
    calibrated = request.method != "rtn"
    try:
        wanted = calibrated or request.proof
        sequences = calibration_tokens(request.model, request.calibration) if wanted else []
    except CalibrationError as error:
        raise BadRequest(str(error)) from None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = _CONFIGS[request.method](request.parameters, device, str(request.offload))
    folder = str(request.model)
    model = GPTQModel.load(folder, config, dtype=torch.bfloat16, trust_remote_code=False)
    model.layer_callback = _telling_layers(request.model, tell)
    batch = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in sequences]
    with RoundedWeights(keep=bool(request.proof)) as rounded:
        model.quantize(
            batch if calibrated else None,
            batch_size=_BATCH_SIZE,
            backend=_BACKENDS.get(request.method, BACKEND.AUTO),
        )
    model.save(str(request.saved))
    if request.proof:
        rounded.write_proof(request, request.proof, sequences)
    return Calibrated(calibration_sha256=token_sha256(sequences) if calibrated else None)


def _telling_layers(folder: Path, tell: Callable[[Progress], None]) -> Callable[..., None]:
    """What the tool is to call after each of the model's layers, which it counts from 0."""
    layers = json.loads((folder / "config.json").read_text()).get("num_hidden_layers", 0)

    def layer_complete(*, layer_idx: int, submodule_finalized: bool) -> None:
        if not submodule_finalized:
            tell(Progress("layer", layer_idx + 1, layers))

    return layer_complete


if __name__ == "__main__":
    awq.hasten()
    serve(GPTQMODEL, carry_out)
