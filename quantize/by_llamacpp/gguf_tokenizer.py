"""How a GGUF's own tokenizer reads text, held against the model's as transformers has it.

Prompts are sent as token ids wherever that can be, so a few texts that differ are told and not
refused. Where many do, the file holds another tokenizer than the model's.
"""

from collections.abc import Sequence
from pathlib import Path

from quantize.artifact.gguf_header import read_gguf
from quantize.artifact.manifest import TokenizerDifferences
from quantize.by_llamacpp.llamacpp_jobs import (
    GGUF_TOKENIZE,
    HF_TOKENIZE,
    GgufTextsRequest,
    ReadText,
    TextsRequest,
)
from quantize.calibration.calibration_set import read_texts
from quantize.method import Job, RecipeError

CHAT_TEMPLATE_KEY = "tokenizer.chat_template"
# The share of texts above which a GGUF is refused.
MOST_DIFFERENT = 0.05

_MAX_DOCUMENTS = 1000
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 80
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


def hold_tokenizer(job: Job, gguf: Path) -> tuple[TokenizerDifferences, int]:
    """Compare the tokenizers and the chat template; returns what differs, and peak bytes.

    Raises:
        RecipeError: more than ``MOST_DIFFERENT`` of the texts differ, or the template is missing.
    """
    job.progress("comparing token ids")
    texts = (*_PROBES, *read_texts(job.calibration.path)[:_MAX_DOCUMENTS])
    request = TextsRequest(model=job.folder.resolve(), texts=texts)
    source = job.ask(HF_TOKENIZE, request)
    items = source.reply.items
    read = job.ask(GGUF_TOKENIZE, GgufTextsRequest(model=gguf.resolve(), items=items))
    differences = compare_tokens(items, read.reply.ids)
    if source.reply.has_template and CHAT_TEMPLATE_KEY not in read_gguf(gguf).metadata:
        raise RecipeError(f"the converter left the model's chat template out of {gguf.name}")
    return differences, max(source.usage.peak_memory_bytes, read.usage.peak_memory_bytes)


def compare_tokens(source: Sequence[ReadText], gguf: Sequence[list[int]]) -> TokenizerDifferences:
    """Hold token ids of the same texts against each other.

    Raises:
        RecipeError: too many differ; quotes the first text that does.
    """
    assert len(source) == len(gguf)
    unequal = [item.text for item, ids in zip(source, gguf, strict=True) if item.ids != ids]
    found = TokenizerDifferences(
        texts=len(source),
        different=len(unequal),
        examples=tuple(text[:_EXAMPLE_CHARACTERS] for text in unequal[:_EXAMPLES]),
    )
    if found.share > MOST_DIFFERENT:
        raise RecipeError(
            f"the GGUF reads text differently from the model's own tokenizer: {len(unequal)} of "
            f"{len(source)} texts give other token ids (at most {MOST_DIFFERENT:.0%} may), first "
            f"{unequal[0][:_EXAMPLE_CHARACTERS]!r}"
        )
    return found
