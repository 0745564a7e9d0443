"""Of a GGUF file's byte-level tokenizer comes one that every tool takes for byte-level."""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from quantize.source.in_quantize.byte_level import begin_texts, spell_in_bytes


def as_transformers_writes_it() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.ByteLevel()])
    return tokenizer


@pytest.mark.parametrize("name", ["smollm", "llama-bpe", "qwen2"])
def test_nothing_of_sentencepieces_kind_is_left(name: str) -> None:
    tokenizer = as_transformers_writes_it()
    spell_in_bytes(tokenizer, name)
    content = json.loads(tokenizer.to_str())
    assert content["model"]["byte_fallback"] is False
    assert content["decoder"]["type"] == "ByteLevel"
    text = "Straße 12 😀\n\n  x"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_a_name_that_is_not_known_is_left_alone() -> None:
    tokenizer = as_transformers_writes_it()
    before = tokenizer.to_str()
    spell_in_bytes(tokenizer, "of my own")
    assert tokenizer.to_str() == before


@pytest.mark.parametrize(
    ("metadata", "begins"),
    [
        ({"tokenizer.ggml.add_bos_token": True}, True),
        ({"tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.model": "llama"}, False),
        ({"tokenizer.ggml.model": "llama"}, True),
        ({"tokenizer.ggml.model": "gpt2"}, False),
    ],
)
def test_a_text_begins_as_the_file_says(metadata: dict[str, object], begins: bool) -> None:
    tokenizer = as_transformers_writes_it()
    begin_texts(tokenizer, "a", metadata)
    first = tokenizer.token_to_id("a")
    assert (tokenizer.encode("bc").ids[0] == first) is begins
    assert tokenizer.encode("bc", add_special_tokens=False).ids[0] != first


def test_without_a_token_that_begins_a_text_nothing_is_put_before_it() -> None:
    tokenizer = as_transformers_writes_it()
    begin_texts(tokenizer, None, {"tokenizer.ggml.add_bos_token": True})
    assert len(tokenizer.encode("bc").ids) == 2
