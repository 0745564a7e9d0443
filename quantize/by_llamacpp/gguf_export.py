"""The ``gguf-*`` recipes: upstream's converter, then llama.cpp's own quantizer.

Recipes with ``imatrix`` give the quantizer an importance matrix of the calibration set: imatrix.py.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from quantize.artifact.gguf_header import GGUF_NAME, read_gguf
from quantize.by_llamacpp.imatrix import find_or_make_imatrix
from quantize.by_llamacpp.llama_converter import CONVERTER, GGUF_PY
from quantize.by_llamacpp.llamacpp_jobs import (
    GGUF_QUANTIZE,
    GGUF_TOKENIZE,
    HF_TOKENIZE,
    GgufQuantizeRequest,
    GgufTextsRequest,
    ReadText,
    TextsRequest,
)
from quantize.calibration.calibration_set import read_texts
from quantize.jobs.environment import environment_python, tool_variables
from quantize.jobs.failure import ToolError, Usage
from quantize.jobs.tool import run_tool
from quantize.method import Job, Outcome, RecipeError
from quantize.source.source_model import TOKENIZER_FILES

CHAT_TEMPLATE_KEY = "tokenizer.chat_template"

_MAX_DOCUMENTS = 1000
_WRITTEN = re.compile(r"Writing:\s+(\d+)%")
# Where tokenizers differ: spaces, line ends, digits, case folding, accents composed and not,
# scripts, emoji with joiners, right-to-left marks, bytes outside the vocabulary. No text begins
# with a space: there transformers and SentencePiece themselves disagree for many a good model.
_PROBES = (
    "a",
    "trailing ",
    "two  spaces,   three, and\ttabs",
    "line\nline\n\nline\r\nline",
    "0 12 345 6789 3.14159 1,000,000 2^10",
    "Straße ÀÉÎÕÜ e\u0301 ﬁ ½ №",
    "Привет мир, Γειά σου, שלום, مرحبا, नमस्ते",
    "你好世界 こんにちは 안녕하세요",
    "😀 👩‍👩‍👧‍👦 🏳️‍🌈 \u200f\u00a0\u2009",
    "if (x != y) { return f\"{x}\"; } // <tag attr='v'>",
    "don't DON'T it's I'll they've",
    "\U0001d4d0\u0000\u0007\ufffd",
)


def make(job: Job) -> Outcome:
    """Write ``model.gguf`` into ``job.output`` and prove that it reads text as the source does."""
    target = job.output / GGUF_NAME
    if job.source is None:
        usage = _convert(job, target)
        peak_bytes = max(usage.peak_memory_bytes, _check_tokenizer(job, target))
        return Outcome(calibration_sha256=None, peak_memory_bytes=peak_bytes)
    source = job.source / GGUF_NAME
    if not job.recipe.parameters.get("imatrix"):
        peak_bytes = _quantize(job, source, target).peak_memory_bytes
        return Outcome(calibration_sha256=None, peak_memory_bytes=peak_bytes)
    imatrix = find_or_make_imatrix(job, source)
    usage = _quantize(job, source, target, imatrix.path)
    return Outcome(
        calibration_sha256=imatrix.calibration_sha256,
        peak_memory_bytes=max(usage.peak_memory_bytes, imatrix.peak_memory_bytes),
    )


def _convert(job: Job, target: Path) -> Usage:
    script = CONVERTER / "convert_hf_to_gguf.py"
    if not script.is_file():
        raise ToolError(f"llama.cpp's converter is missing ({script}); run `make setup`")
    return run_tool(
        [
            environment_python("quantize"),
            script,
            job.model.folder.resolve(),
            "--outtype",
            str(job.recipe.parameters["file_type"]).lower(),
            "--outfile",
            target.resolve(),
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


def _quantize(job: Job, source: Path, target: Path, imatrix: Path | None = None) -> Usage:
    request = GgufQuantizeRequest(
        source=source.resolve(),
        target=target.resolve(),
        file_type=str(job.recipe.parameters["file_type"]),
        threads=job.threads,
        imatrix=None if imatrix is None else imatrix.resolve(),
    )
    return job.ask(GGUF_QUANTIZE, request).usage


def _check_tokenizer(job: Job, gguf: Path) -> int:
    """Hold the GGUF's tokenizer and chat template against the source's; returns peak bytes."""
    job.progress("comparing token ids")
    texts = (*_PROBES, *read_texts(job.calibration.path)[:_MAX_DOCUMENTS])
    request = TextsRequest(model=job.model.folder.resolve(), texts=texts)
    source = job.ask(HF_TOKENIZE, request)
    items = source.reply.items
    read = job.ask(GGUF_TOKENIZE, GgufTextsRequest(model=gguf.resolve(), items=items))
    compare_tokens(items, read.reply.ids)
    _check_chat_template(job.model.folder, gguf)
    return max(source.usage.peak_memory_bytes, read.usage.peak_memory_bytes)


def compare_tokens(source: Sequence[ReadText], gguf: Sequence[list[int]]) -> None:
    """Hold token ids of the same texts against each other.

    Raises:
        RecipeError: quoting the first text that the two tokenizers read differently.
    """
    assert len(source) == len(gguf)
    unequal = [item for item, ids in zip(source, gguf, strict=True) if item.ids != ids]
    if unequal:
        raise RecipeError(
            f"the GGUF reads text differently from the model's own tokenizer: {len(unequal)} of "
            f"{len(source)} texts give other token ids, first {unequal[0].text[:80]!r}"
        )


def _check_chat_template(source: Path, gguf: Path) -> None:
    """A chat template that the source has must be in the GGUF's metadata.

    Raises:
        RecipeError: it is not, so chats would be framed in another way than on other engines.
    """
    files = [source / name for name in TOKENIZER_FILES if (source / name).is_file()]
    has_template = any(
        path.suffix == ".jinja"
        or (path.name == "tokenizer_config.json" and "chat_template" in path.read_text())
        for path in files
    )
    if has_template and CHAT_TEMPLATE_KEY not in read_gguf(gguf).metadata:
        raise RecipeError(f"the converter left the model's chat template out of {gguf.name}")
