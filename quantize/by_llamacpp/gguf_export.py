"""The ``gguf-*`` recipes: upstream's converter, then llama.cpp's own quantizer.

Recipes with ``imatrix`` give the quantizer an importance matrix of the calibration set: imatrix.py.
"""

import re
import shutil
from pathlib import Path

from quantize.artifact.conversation import CONVERSATION_FILES
from quantize.artifact.gguf_header import GGUF_NAME
from quantize.artifact.manifest import read_manifest
from quantize.by_llamacpp.gguf_tokenizer import hold_tokenizer
from quantize.by_llamacpp.imatrix import find_or_make_imatrix
from quantize.by_llamacpp.llamacpp_jobs import GGUF_QUANTIZE, GgufQuantized, GgufQuantizeRequest
from quantize.jobs.environment import environment_python, tool_variables
from quantize.jobs.failure import ToolError, Usage
from quantize.jobs.llama_converter import CONVERTER, GGUF_PY
from quantize.jobs.log_tail import log_text
from quantize.jobs.tool import run_tool
from quantize.jobs.worker import Done
from quantize.method import Job, Outcome, RecipeError

# What a server reads beside a GGUF file, which names one end token and one template alone.
_BESIDE = (*CONVERSATION_FILES, "generation_config.json")
_WRITTEN = re.compile(r"Writing:\s+(\d+)%")
# What the converter says when it gives up, and what that means.
_ABORTS = (
    (
        re.compile(r"BPE pre-tokenizer was not recognized"),
        "it does not know this tokenizer's pre-tokenizer; the GGUF formats need one that it knows",
    ),
    (
        re.compile(r"max\(tokenizer\.vocab\.values\(\)\) < vocab_size"),
        "the tokenizer gives ids beyond vocab_size; give the tokenizer that belongs to the weights",
    ),
    (
        re.compile(r"Can not map tensor '([^']+)'"),
        "llama.cpp has no such tensor in this architecture: {0}; leave the GGUF formats out",
    ),
)


def make(job: Job) -> Outcome:
    """Write ``model.gguf`` into ``job.output`` and prove that it reads text as the source does."""
    target = job.output / GGUF_NAME
    for name in _BESIDE:
        if (job.folder / name).is_file():
            shutil.copyfile(job.folder / name, job.output / name)
    if job.source is None:
        usage = _convert(job, target)
        tokenizer, peak_bytes = hold_tokenizer(job, target)
        return Outcome(
            calibration_sha256=None,
            peak_memory_bytes=max(usage.peak_memory_bytes, peak_bytes),
            tokenizer=tokenizer,
        )
    source = job.source / GGUF_NAME
    imatrix = find_or_make_imatrix(job, source) if job.recipe.parameters.get("imatrix") else None
    done = _quantize(job, source, target, imatrix.path if imatrix else None)
    peaks = [done.usage.peak_memory_bytes, imatrix.peak_memory_bytes if imatrix else 0]
    return Outcome(
        calibration_sha256=imatrix.calibration_sha256 if imatrix else None,
        peak_memory_bytes=max(peaks),
        fallbacks=done.reply.fallbacks,
        tokenizer=read_manifest(job.source).tokenizer,
    )


def _convert(job: Job, target: Path) -> Usage:
    script = CONVERTER / "convert_hf_to_gguf.py"
    if not script.is_file():
        raise ToolError(f"llama.cpp's converter is missing ({script}); run `make setup`")
    try:
        return _run_converter(job, script, target)
    except ToolError as error:
        log = log_text(job.log)
        for pattern, cause in _ABORTS:
            if found := pattern.search(log):
                raise RecipeError(
                    f"llama.cpp's converter gave up: {cause.format(*found.groups())} "
                    f"(log: {job.log})"
                ) from None
        raise error


def _run_converter(job: Job, script: Path, target: Path) -> Usage:
    return run_tool(
        [
            environment_python("quantize"),
            script,
            job.folder.resolve(),
            "--outtype",
            str(job.recipe.parameters["file_type"]).lower(),
            "--outfile",
            target.resolve(),
            # Else it would be that of the folder, which is the same for all models.
            "--model-name",
            Path(job.model.name).name,
        ],
        log=job.log,
        variables=tool_variables(job.threads, {"PYTHONPATH": str(GGUF_PY)}),
        held=[job.lock_fd],
        on_progress=lambda tail: job.progress(_written(tail)),
    )


def _written(tail: str) -> str:
    """What the converter's bar said last; empty before the first."""
    found = _WRITTEN.findall(tail)
    return f"{found[-1]}% written" if found else ""


def _quantize(job: Job, source: Path, target: Path, imatrix: Path | None) -> Done[GgufQuantized]:
    request = GgufQuantizeRequest(
        source=source.resolve(),
        target=target.resolve(),
        file_type=str(job.recipe.parameters["file_type"]),
        threads=job.threads,
        imatrix=None if imatrix is None else imatrix.resolve(),
    )
    return job.ask(GGUF_QUANTIZE, request)
