"""What llama.cpp's converter and llama.cpp itself make of a source model, known before any work.

Read from the converter that set-up installed (``conversion/base.py``) and, for llama.cpp, from its
``src/models`` in the version inside llama-cpp-python 0.3.36.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from quantize.jobs.llama_converter import CONVERTER
from quantize.source.model_shape import ModelShape
from quantize.source.normalised_folder import PreparedSource

# Their vocabulary is read from tokenizer.model where there is one.
_SENTENCEPIECE = frozenset(
    {
        "LlamaForCausalLM",
        "MistralForCausalLM",
        "MixtralForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen3ForCausalLM",
    }
)
# Of these also a tokenizer.json of SentencePiece's kind, and whether text begins with a space.
_HF_SENTENCEPIECE = frozenset({"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"})


@dataclass(frozen=True, kw_only=True)
class PreTokenizers:
    """The text by whose ids the converter knows a pre-tokenizer, and the hashes that it knows."""

    probe: str
    known: frozenset[str]


@cache
def pre_tokenizers() -> PreTokenizers:
    """What the installed converter knows; nothing where there is none."""
    path = CONVERTER / "conversion" / "base.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError:
        return PreTokenizers(probe="", known=frozenset())
    probe, known = "", set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name("chktxt")], ast.Constant(str(text))):
                probe = text
            case ast.Compare(ast.Name("chkhsh"), [ast.Eq()], [ast.Constant(str(text))]):
                known.add(text)
    return PreTokenizers(probe=probe, known=frozenset(known))


def why_no_architecture(config: Mapping[str, Any], shape: ModelShape) -> str | None:
    """Why llama.cpp computes a model of this configuration otherwise, or not at all."""
    if shape.architecture != "Qwen3MoeForCausalLM":
        return None
    if not config.get("norm_topk_prob", False):
        return "norm_topk_prob is false, and llama.cpp always normalises Qwen3-MoE's experts"
    return None


def why_no_vocabulary(source: PreparedSource) -> str | None:
    """Why the converter cannot read this tokenizer, or reads it as another than transformers."""
    if not _goes_by_hash(source):
        return _why_no_sentencepiece(source)
    facts = pre_tokenizers()
    if not facts.known:
        return None
    if source.record.tokenizer_sha256 in facts.known:
        return None
    return (
        "llama.cpp's converter does not know this tokenizer's pre-tokenizer (its hash is "
        f"{source.record.tokenizer_sha256[:12]}…); the GGUF formats need one that it knows"
    )


def _why_no_sentencepiece(source: PreparedSource) -> str | None:
    """Why a GGUF file would read other tokens than the model's tokenizer of SentencePiece's kind.

    transformers takes the tokenizers of some architectures for byte-level, whatever they are. Of a
    tokenizer.json the converter reads no order of merges: all tokens get the same score
    (``LlamaHfVocab``). And llama.cpp puts a space before a text unless the file denies it.
    """
    if source.record.by_bytes:
        return (
            f"transformers reads text for {source.reading.shape.architecture} byte by byte, other "
            "than the model's tokenizer files say; a GGUF file would follow those"
        )
    if not (source.folder / "tokenizer.model").is_file():
        return (
            "llama.cpp's converter cannot read this kind of tokenizer.json rightly; put the "
            "model's tokenizer.model beside it"
        )
    architecture = source.reading.shape.architecture
    if architecture not in _HF_SENTENCEPIECE and not source.record.spaced:
        return (
            "this tokenizer puts no space before a text, which llama.cpp's converter does not "
            f"pass on for {architecture}: every text would begin with another token"
        )
    return None


def _goes_by_hash(source: PreparedSource) -> bool:
    """Whether the converter takes the vocabulary for byte-level BPE, and asks which kind."""
    architecture = source.reading.shape.architecture
    if (source.folder / "tokenizer.model").is_file() and architecture in _SENTENCEPIECE:
        return False
    if architecture not in _HF_SENTENCEPIECE:
        return True
    content = json.loads((source.folder / "tokenizer.json").read_text(encoding="utf-8"))
    model, decoder = content.get("model") or {}, content.get("decoder") or {}
    return not (
        model.get("type") == "BPE"
        and model.get("byte_fallback", False)
        and decoder.get("type") == "Sequence"
    )
