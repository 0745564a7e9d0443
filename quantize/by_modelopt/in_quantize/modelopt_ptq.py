"""Run NVIDIA's Model Optimizer on requests; in the ``quantize`` environment (see job_server.py).

Where torch sees a GPU the model is spread over its memory, the machine's and, layer by layer, the
disk (accelerate's device map), and the exporter writes offloaded layers one at a time: memory is
bounded by what there is. On a CPU the whole model is held in bfloat16, once. Not bounded by layers
are AutoQuantize (gradients of its sums need every layer's inputs) and the fine-tune.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import modelopt.torch.quantization as mtq
import torch
from modelopt.torch.export import export_hf_checkpoint
from modelopt.torch.export.convert_hf_config import convert_hf_quant_config_format
from modelopt.torch.export.unified_export_hf import requantize_resmooth_fused_llm_layers
from modelopt.torch.quantization.model_calib import max_calibrate
from transformers import AutoModelForCausalLM

from quantize.artifact.in_quantize.proof_logits import write_proof
from quantize.by_modelopt.in_quantize.compressed_checkpoint import rewrite
from quantize.by_modelopt.in_quantize.modelopt_auto import search
from quantize.by_modelopt.in_quantize.modelopt_backend import install, with_backend
from quantize.by_modelopt.in_quantize.modelopt_scales import fold_scales
from quantize.by_modelopt.in_quantize.modelopt_train import (
    calibration_batches,
    reference_batches,
    train,
)
from quantize.by_modelopt.modelopt_job import MODELOPT, ModelOptReply, ModelOptRequest
from quantize.calibration.calibration_set import CalibrationError, token_sha256
from quantize.calibration.in_quantize.calibration_tokens import calibration_tokens
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve

_BATCH_TOKENS = 8192
# The search of AWQ tries its scales on every batch; more than these add time and nothing else.
_SEARCH_TOKENS = 16384
_ROW_INPUTS = {"num_bits": 8, "type": "dynamic", "block_sizes": {-1: None}}

Tell = Callable[[Progress], None]


def carry_out(request: ModelOptRequest, tell: Tell) -> ModelOptReply:
    """Quantize the model of ``request`` and export it to the folder ``saved``.

    Raises:
        BadRequest: the calibration text is at fault.
    """
    torch.manual_seed(0)
    torch.set_num_threads(request.threads)
    install()
    try:
        sequences = calibration_tokens(request.model, request.calibration)
    except CalibrationError as error:
        raise BadRequest(str(error)) from None
    tell(Progress("loading the model"))
    model = _load(request.model)
    _quantize(model, request, sequences, tell)
    requantize_resmooth_fused_llm_layers(model)
    if request.proof:
        write_proof(request.proof, model, sequences)
    tell(Progress("writing"))
    described = _export(model, request)
    return ModelOptReply(calibration_sha256=token_sha256(sequences), described=described)


def _load(folder: Path) -> Any:
    placed = {"device_map": "auto"} if torch.cuda.is_available() else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, **placed)
    model.config.use_cache = False
    return model.eval()


def _quantize(
    model: Any, request: ModelOptRequest, sequences: Sequence[list[int]], tell: Tell
) -> None:
    parameters = request.parameters
    batches = _batches(sequences, model.device)
    if parameters["preset"] == "auto":
        search(model, batches, parameters, tell)
        return
    config = with_backend(getattr(mtq, parameters["preset"]))
    if "kv_preset" in parameters:
        config["quant_cfg"] += copy.deepcopy(getattr(mtq, parameters["kv_preset"])["quant_cfg"])
    if "alpha" in parameters:
        config["algorithm"] = {"method": "smoothquant", "alpha": parameters["alpha"]}
    searched = "awq" in str(config["algorithm"])
    kept = max(1, _SEARCH_TOKENS // batches[0].numel()) if searched else len(batches)
    teacher = copy.deepcopy(model).float() if "train_steps" in parameters else None
    mtq.quantize(model, config, _forward(batches[:kept], tell))
    if parameters.get("fold_scales"):
        fold_scales(model, _forward(batches, tell))
    if parameters.get("row_inputs"):
        _round_inputs_by_row(model)
    if teacher is not None:
        _fine_tune(model, teacher, request, sequences, tell)
        max_calibrate(model, _forward(batches, tell))


def _batches(sequences: Sequence[list[int]], device: torch.device) -> list[torch.Tensor]:
    """(rows, length) token ids, so many rows that a batch has about 8192 tokens."""
    rows = max(1, _BATCH_TOKENS // len(sequences[0]))
    return [
        torch.tensor(sequences[start : start + rows], device=device)
        for start in range(0, len(sequences), rows)
    ]


def _forward(batches: Sequence[torch.Tensor], tell: Tell) -> Callable[[Any], None]:
    def run(model: Any) -> None:
        with torch.no_grad():
            for number, batch in enumerate(batches, start=1):
                tell(Progress("calibrating", number, len(batches)))
                model(input_ids=batch, use_cache=False)

    return run


def _round_inputs_by_row(model: Any) -> None:
    """Let each token's inputs have a scale of their own, found when they come."""
    for module in model.modules():
        quantizer = getattr(module, "input_quantizer", None)
        if quantizer is not None and quantizer.is_enabled:
            quantizer.reset_amax()
            quantizer.set_from_attribute_config(_ROW_INPUTS)


def _fine_tune(
    model: Any, teacher: Any, request: ModelOptRequest, sequences: Sequence[list[int]], tell: Tell
) -> None:
    steps, rate = (request.parameters[name] for name in ("train_steps", "train_rate"))
    batches = (
        reference_batches(request.model, steps)
        if request.reference
        else calibration_batches(sequences, steps)
    )
    model.float()
    train(model, teacher, batches, steps=steps, rate=rate, tell=tell)
    # Weights alone: the frequencies of the rotary embedding must stay in float32.
    for weight in model.parameters():
        weight.data = weight.data.bfloat16()


def _export(model: Any, request: ModelOptRequest) -> Mapping[str, Any]:
    """Write the checkpoint; returns its description as ``config.json`` shall announce it."""
    saved = request.saved
    export_hf_checkpoint(model, export_dir=saved)
    description = saved / "hf_quant_config.json"
    content = json.loads(description.read_text())
    quantization = content["quantization"]
    form = request.compressed
    if form is not None:
        described: Mapping[str, Any] = rewrite(saved, form, quantization["exclude_modules"])
        description.unlink()
        return described
    if request.parameters.get("fold_scales"):
        # No layer scales its inputs any more: what is left is the plain format.
        quantization["quant_algo"] = "NVFP4"
        del quantization["pre_quant_scale"], quantization["has_zero_point"]
    described = convert_hf_quant_config_format(content)
    description.write_text(json.dumps(content, indent=2) + "\n")
    return described


if __name__ == "__main__":
    serve(MODELOPT, carry_out)
