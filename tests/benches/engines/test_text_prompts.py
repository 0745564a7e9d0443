"""Prompts as text."""

from quantize.source.source_model import REFERENCE_WEIGHTS
from tests.benches.engines.text_prompts import TextPrompts

TEXTS = [f"Number {number} of many texts is about {number * 7} things." for number in range(200)]


def test_prompts_are_unique_and_about_as_long_as_asked() -> None:
    prompts = TextPrompts(REFERENCE_WEIGHTS, TEXTS, 32)
    texts = [prompts.text(number) for number in range(300)]
    assert len(set(texts)) == 300
    assert all(abs(prompts.count(text) - 32) <= 4 for text in texts)


def test_a_texts_tokens_are_counted_without_those_that_begin_every_prompt() -> None:
    assert TextPrompts(REFERENCE_WEIGHTS, TEXTS, 8).count("") == 0
