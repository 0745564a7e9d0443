"""The ``gguf-*`` recipes: upstream's converter, then llama.cpp's own quantizer.

Recipes with ``imatrix`` give the quantizer an importance matrix of the calibration set: imatrix.py.
"""

import json
import re
from pathlib import Path

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.weight_measures import GGUF_NAME
from quantize.by_llamacpp.imatrix import find_or_make_imatrix
from quantize.by_llamacpp.llama_converter import CONVERTER, GGUF_PY
from quantize.calibration.calibration_set import read_texts
from quantize.jobs.tool_process import ToolError, Usage, environment_python, run_tool
from quantize.method import Job, Outcome, RecipeError
from quantize.source.source_model import TOKENIZER_FILES

CHAT_TEMPLATE_KEY = "tokenizer.chat_template"

_MAX_DOCUMENTS = 1000
_QUANTIZED = re.compile(r"^\[\s*(\d+)/\s*(\d+)\]", re.MULTILINE)
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
        threads=job.threads,
        env={"PYTHONPATH": str(GGUF_PY)},
        held_fds=[job.lock_fd],
        on_progress=lambda tail, _: job.progress(_last(_WRITTEN, tail, "{}% written")),
    )


def _quantize(job: Job, source: Path, target: Path, *imatrix: Path) -> Usage:
    return run_tool(
        [
            environment_python("llamacpp"),
            "-m",
            "quantize.by_llamacpp.in_llamacpp.gguf_quantize",
            source.resolve(),
            target.resolve(),
            str(job.recipe.parameters["file_type"]),
            str(job.threads),
            *(path.resolve() for path in imatrix),
        ],
        log=job.log,
        threads=job.threads,
        held_fds=[job.lock_fd],
        on_progress=lambda tail, _: job.progress(_last(_QUANTIZED, tail, "tensor {}/{}")),
    )


def _check_tokenizer(job: Job, gguf: Path) -> int:
    """Hold the GGUF's tokenizer and chat template against the source's; returns peak bytes."""
    job.progress("comparing token ids")
    texts, source_ids, gguf_ids = (
        job.scratch / name for name in ("texts.json", "source-ids.json", "gguf-ids.json")
    )
    corpus = [*_PROBES, *read_texts(job.calibration.path)[:_MAX_DOCUMENTS]]
    texts.write_text(json.dumps(corpus))
    peaks = []
    for python, module, model, read, written in (
        (
            "quantize",
            "quantize.by_llamacpp.in_quantize.hf_tokenize",
            job.model.folder.resolve(),
            texts,
            source_ids,
        ),
        ("llamacpp", "quantize.by_llamacpp.in_llamacpp.gguf_tokenize", gguf, source_ids, gguf_ids),
    ):
        usage = run_tool(
            [environment_python(python), "-m", module, model, read, written],
            log=job.log,
            threads=job.threads,
            held_fds=[job.lock_fd],
        )
        peaks.append(usage.peak_memory_bytes)
    compare_tokens(json.loads(source_ids.read_text()), json.loads(gguf_ids.read_text()))
    _check_chat_template(job.model.folder, gguf)
    return max(peaks)


def compare_tokens(source: list[dict[str, object]], gguf: list[list[int]]) -> None:
    """Hold token ids of the same texts against each other; each source item has text and ids.

    Raises:
        RecipeError: quoting the first text that the two tokenizers read differently.
    """
    assert len(source) == len(gguf)
    unequal = [item for item, ids in zip(source, gguf, strict=True) if item["ids"] != ids]
    if unequal:
        raise RecipeError(
            f"the GGUF reads text differently from the model's own tokenizer: {len(unequal)} of "
            f"{len(source)} texts give other token ids, first {str(unequal[0]['text'])[:80]!r}"
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


def _last(pattern: re.Pattern[str], tail: str, words: str) -> str:
    found = list(pattern.finditer(tail))
    return words.format(*found[-1].groups()) if found else ""
