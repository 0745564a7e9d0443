"""The recipes of the Model Optimizer, seen from outside: a request to its process, files put right.

Of what the tool saves, the weights and the description of the quantization are taken;
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
from quantize.method import Job, Outcome
from quantize.source.source_model import REFERENCE_WEIGHTS

MODULE = "quantize.by_modelopt.in_quantize.modelopt_ptq"
# The second is what TensorRT-LLM reads instead of config.json.
_KEPT = (".safetensors.index.json", "hf_quant_config.json")
_PROGRESS = re.compile(r"^progress: (.*)$", re.MULTILINE)


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
        on_progress=lambda tail, _: job.progress(progress_words(tail)),
    )
    for path in sorted(saved.iterdir()):
        if path.suffix == ".safetensors" or path.name.endswith(_KEPT):
            shutil.move(path, job.output / path.name)
            # The library that writes them lets nobody else read them.
            (job.output / path.name).chmod(0o644)
    described = json.loads((job.scratch / "described.json").read_text())
    copy_companions(job.model.folder, job.output)
    write_config(job.model.folder, job.output, described)
    outcome = json.loads((job.scratch / "outcome.json").read_text())
    return Outcome(
        calibration_sha256=outcome["calibration_sha256"], peak_memory_bytes=usage.peak_memory_bytes
    )


def _request(job: Job, saved: Path) -> dict[str, Any]:
    folder = job.model.folder.resolve()
    return {
        "model": str(folder),
        "reference": folder == REFERENCE_WEIGHTS.resolve(),
        "calibration": plan_to_json(job.calibration),
        "checkpoint": job.recipe.checkpoint,
        "parameters": dict(job.recipe.parameters),
        "threads": job.threads,
        "saved": str(saved),
        "outcome": str(job.scratch / "outcome.json"),
        "described": str(job.scratch / "described.json"),
        "proof": None if job.proof is None else str(job.proof.resolve()),
    }


def progress_words(tail: str) -> str:
    """The last words of progress at the end of the tool's log; empty before the first."""
    found = _PROGRESS.findall(tail)
    return str(found[-1]) if found else ""
