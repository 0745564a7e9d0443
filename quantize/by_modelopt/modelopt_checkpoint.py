"""The recipes of the Model Optimizer, seen from outside: a request to its process, files put right.

Of what the tool saves, the weights and the description of the quantization are taken;
configuration and tokenizer come from the source model, so that they are the same everywhere.
"""

import shutil

from quantize.bf16_copy import copy_companions, write_config
from quantize.by_modelopt.modelopt_job import MODELOPT, CompressedForm, ModelOptRequest
from quantize.formats.storage_format import StorageFormat
from quantize.method import Job, Outcome
from quantize.source.source_model import REFERENCE_WEIGHTS

# The second is what TensorRT-LLM reads instead of config.json.
_KEPT = (".safetensors.index.json", "hf_quant_config.json")


def make(job: Job) -> Outcome:
    """Quantize the source model into ``job.output``, in the worker's process."""
    request = _request(job)
    done = job.ask(MODELOPT, request)
    for path in sorted(request.saved.iterdir()):
        if path.suffix == ".safetensors" or path.name.endswith(_KEPT):
            shutil.move(path, job.output / path.name)
            # The library that writes them lets nobody else read them.
            (job.output / path.name).chmod(0o644)
    copy_companions(job.folder, job.output)
    write_config(job.folder, job.output, dict(done.reply.described))
    return Outcome(
        calibration_sha256=done.reply.calibration_sha256,
        peak_memory_bytes=done.usage.peak_memory_bytes,
    )


def _request(job: Job) -> ModelOptRequest:
    return ModelOptRequest(
        model=job.folder.resolve(),
        reference=job.model.original.resolve() == REFERENCE_WEIGHTS.resolve(),
        calibration=job.calibration.resolved(),
        compressed=_compressed(job.recipe.format),
        parameters=job.recipe.parameters,
        threads=job.threads,
        saved=job.scratch / "saved",
        proof=None if job.proof is None else job.proof.resolve(),
    )


def _compressed(row: StorageFormat) -> CompressedForm | None:
    if row.announced["quant_method"] != "compressed-tensors":
        return None
    (layer,) = row.layers
    return CompressedForm(
        format=str(row.announced["format"]),
        layer=layer.name,
        values=layer.parts[0].name,
        bits=row.bits,
        group=layer.group,
    )
