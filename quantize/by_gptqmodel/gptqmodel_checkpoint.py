"""The recipes of GPTQModel, seen from outside: a request to its process, its files put right.

GPTQModel writes the checkpoint formats of the retired auto-gptq and autoawq, which transformers
and vLLM load. Of what it saves only the weights and the quantization's description are taken;
configuration and tokenizer come from the source model, so that they are the same everywhere.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from quantize.bf16_copy import copy_companions, write_config
from quantize.calibration.calibration_set import plan_to_json
from quantize.jobs.tool_worker import ToolModule
from quantize.method import Job, Outcome, RecipeError

MODULE = "quantize.by_gptqmodel.in_quantize.gptqmodel_ptq"

_LAYER = re.compile(r"(?:in layer\s+\[|Quantizing layer )(\d+) of (\d+)")
# What the tool notes of its own run (devices, temporary paths) is no part of a checkpoint.
_KEPT_NOTES = ("quantizer", "act_group_aware", "damp_percent")


def make(job: Job) -> Outcome:
    """Quantize the source model into ``job.output``, in the worker's process."""
    saved = job.scratch / "saved"
    request = job.scratch / "request.json"
    request.write_text(json.dumps(_request(job, saved)))
    usage = job.worker.run(
        ToolModule(module=MODULE, environment="quantize", threads=job.threads),
        request,
        log=job.log,
        lock_fd=job.lock_fd,
        # The tool sizes its pool by the machine; a pool larger than the threads stalls it.
        env={"GPTQMODEL_CPU_WORKERS": str(job.threads)},
        on_progress=lambda tail, _: job.progress(progress_words(tail)),
    )
    config = json.loads((saved / "config.json").read_text())
    for path in saved.iterdir():
        if path.suffix == ".safetensors" or path.name.endswith(".safetensors.index.json"):
            shutil.move(path, job.output / path.name)
    copy_companions(job.model.folder, job.output)
    described = config.get("quantization_config")
    if not isinstance(described, dict):
        raise RecipeError(f"GPTQModel saved no quantization_config (log: {job.log})")
    write_config(job.model.folder, job.output, portable_description(described))
    outcome = json.loads((job.scratch / "outcome.json").read_text())
    return Outcome(
        calibration_sha256=outcome["calibration_sha256"], peak_memory_bytes=usage.peak_memory_bytes
    )


def _request(job: Job, saved: Path) -> dict[str, Any]:
    return {
        "model": str(job.model.folder.resolve()),
        "calibration": plan_to_json(job.calibration),
        "method": job.recipe.method,
        "parameters": dict(job.recipe.parameters),
        "threads": job.threads,
        "scratch": str(job.scratch),
        "offload": str(job.scratch / "offload"),
        "saved": str(saved),
        "outcome": str(job.scratch / "outcome.json"),
        "proof": None if job.proof is None else str(job.proof.resolve()),
    }


def portable_description(described: dict[str, Any]) -> dict[str, Any]:
    """The tool's ``quantization_config`` without notes on the machine it ran on."""
    notes = described.get("meta") or {}
    kept = {key: notes[key] for key in _KEPT_NOTES if notes.get(key) is not None}
    return {key: value for key, value in described.items() if key != "meta"} | {"meta": kept}


def progress_words(tail: str) -> str:
    """``layer 3/6`` out of the end of GPTQModel's log; empty before the first layer.

    The log counts layers from 0 to the last index.
    """
    found = _LAYER.findall(tail)
    return f"layer {int(found[-1][0]) + 1}/{int(found[-1][1]) + 1}" if found else ""
