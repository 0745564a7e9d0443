"""The recipes of GPTQModel, seen from outside: a request to its process, its files put right.

GPTQModel writes the checkpoint formats of the retired auto-gptq and autoawq, which transformers
and vLLM load. Of what it saves only the weights and the quantization's description are taken;
configuration and tokenizer come from the source model, so that they are the same everywhere.
"""

import json
import shutil
from typing import Any

from quantize.bf16_copy import copy_companions, write_config
from quantize.by_gptqmodel.gptqmodel_job import GPTQMODEL, GptqModelRequest
from quantize.method import Job, Outcome, RecipeError

# What the tool notes of its own run (devices, temporary paths) is no part of a checkpoint.
_KEPT_NOTES = ("quantizer", "act_group_aware", "damp_percent")


def make(job: Job) -> Outcome:
    """Quantize the source model into ``job.output``, in the worker's process."""
    request = _request(job)
    saved = request.saved
    done = job.ask(
        GPTQMODEL,
        request,
        # The tool sizes its pool by the machine; a pool larger than the threads stalls it.
        variables={"GPTQMODEL_CPU_WORKERS": str(job.threads)},
    )
    config = json.loads((saved / "config.json").read_text())
    for path in saved.iterdir():
        if path.suffix == ".safetensors" or path.name.endswith(".safetensors.index.json"):
            shutil.move(path, job.output / path.name)
    copy_companions(job.folder, job.output)
    described = config.get("quantization_config")
    if not isinstance(described, dict):
        raise RecipeError(f"GPTQModel saved no quantization_config (log: {job.log})")
    write_config(job.folder, job.output, portable_description(described))
    return Outcome(
        calibration_sha256=done.reply.calibration_sha256,
        peak_memory_bytes=done.usage.peak_memory_bytes,
    )


def _request(job: Job) -> GptqModelRequest:
    return GptqModelRequest(
        model=job.folder.resolve(),
        calibration=job.calibration.resolved(),
        method=job.recipe.method,
        parameters=job.recipe.parameters,
        threads=job.threads,
        scratch=job.scratch,
        offload=job.scratch / "offload",
        saved=job.scratch / "saved",
        proof=None if job.proof is None else job.proof.resolve(),
    )


def portable_description(described: dict[str, Any]) -> dict[str, Any]:
    """The tool's ``quantization_config`` without notes on the machine it ran on."""
    notes = described.get("meta") or {}
    kept = {key: notes[key] for key in _KEPT_NOTES if notes.get(key) is not None}
    return {key: value for key, value in described.items() if key != "meta"} | {"meta": kept}
