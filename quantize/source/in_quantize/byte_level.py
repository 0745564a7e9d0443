"""Tokenizers that spell text in bytes, as GGUF files name them; in the ``quantize`` environment.

transformers takes their vocabulary from the file. How text is split before merging it does not
know, and it writes the decoder and the fallback of SentencePiece's kind, by which llama.cpp's
converter would take the tokenizer for one of those.
"""

from collections.abc import Mapping

from tokenizers import Regex, Tokenizer
from tokenizers.decoders import ByteLevel as BytesToText
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence, Split
from tokenizers.processors import TemplateProcessing

# How llama.cpp splits text under these names (src/llama-vocab.cpp); all others are GPT-2's, or
# transformers' own reading of the file.
_ENGLISH = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS: Mapping[str, str] = {
    "llama-bpe": _ENGLISH + r"\p{N}{1,3}" + _REST,
    "qwen2": _ENGLISH + r"\p{N}" + _REST,
}


def spell_in_bytes(tokenizer: Tokenizer, name: str) -> None:
    """Make of a tokenizer what a GGUF file's ``tokenizer.ggml.pre`` says, where it is known."""
    splitter = _splitter(name)
    if splitter is None:
        return
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = BytesToText()
    tokenizer.model.byte_fallback = False


def _splitter(name: str) -> PreTokenizer | None:
    if name == "smollm":
        return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    if name in _SPLITS:
        split = Split(Regex(_SPLITS[name]), behavior="isolated")
        return Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)])
    return None


def begin_texts(tokenizer: Tokenizer, bos: str | None, metadata: Mapping[str, object]) -> None:
    """Put what begins a text before it, as a GGUF file says (of SentencePiece's kind: by default).

    Source: llama.cpp's ``src/llama-vocab.cpp`` (``add_bos`` by type of vocabulary).
    """
    by_default = metadata.get("tokenizer.ggml.model") == "llama"
    begins = metadata.get("tokenizer.ggml.add_bos_token", by_default)
    number = tokenizer.token_to_id(bos) if bos is not None else None
    if begins and number is not None:
        tokenizer.post_processor = TemplateProcessing(
            single=[bos, "$A"], pair=[bos, "$A", bos, "$B"], special_tokens=[(bos, number)]
        )
