"""What is to be found stands once, where it is said to, in a record of the length that is said.

covers: eval/suite/chronicle.py
"""

from collections import Counter
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from eval.suite.chronicle import BYTES_PER_TOKEN, sentences_of
from eval.suite.draw import rng_of
from eval.suite.retrieval import BESIDE_TOKENS, COUNT, DEPTHS, LENGTHS, dataset, item, score
from eval.suite.texts import LONG_COUNT, long_texts
from quantize.source.source_model import REFERENCE_WEIGHTS


def test_every_length_is_asked_at_every_depth_equally_often() -> None:
    found = dataset(context_length=4096)["test"]
    assert len(found) == COUNT
    assert set(Counter(zip(found["kind"], found["depth"], strict=True)).values()) == {
        COUNT // len(LENGTHS) // len(DEPTHS)
    }


@pytest.mark.parametrize("context_length", [1024, 8192])
def test_the_answer_stands_once_at_its_depth(context_length: int) -> None:
    for number in range(40):
        found = item(rng_of("test", 0, number), number, context_length)
        context, answer = found["context"], found["answer"]
        assert context.count(answer) == 1
        assert context.count("The password of") == 4
        if len(context) > 4000:
            assert context.index(answer) / len(context) == pytest.approx(found["depth"], abs=0.06)


@pytest.mark.parametrize("context_length", [1024, 8192])
def test_no_record_is_longer_than_its_share_of_the_context(context_length: int) -> None:
    for number in range(40):
        found = item(rng_of("test", 1, number), number, context_length)
        share = LENGTHS[number % len(LENGTHS)]
        room = max(96, share * (context_length - BESIDE_TOKENS)) + 90
        assert len(found["context"]) <= room * BYTES_PER_TOKEN
        assert len(found["context"]) >= (room - 170) * BYTES_PER_TOKEN


def test_only_the_right_password_scores() -> None:
    doc = {"answer": "falcon"}
    assert score(doc, ["The password is Falcon."]) == {"acc": 1.0}
    assert score(doc, ["falcon or amber"]) == {"acc": 0.0}
    assert score(doc, ["amber"]) == {"acc": 0.0}
    assert score(doc, [""]) == {"acc": 0.0}


def test_later_entries_of_a_record_refer_to_earlier_ones() -> None:
    told = sentences_of(rng_of("test", 0, 0), 2000)
    later = [sentence for sentence in told if "remembered that" in sentence]
    assert 0.15 < len(later) / len(told) < 0.35
    for sentence in later:
        what = sentence.partition(" had ")[2].removesuffix(", and wrote it down.")
        assert sum(what in other for other in told[: told.index(sentence)]) >= 1


def test_a_long_text_nearly_fills_the_context_and_stays_within_32k() -> None:
    for context_length, most in ((2048, 2048), (65_536, 32_768)):
        found = long_texts(context_length=context_length)["test"]
        assert len(found) == LONG_COUNT
        for text in found["text"]:
            assert 0.9 * most * BYTES_PER_TOKEN < len(text) < most * BYTES_PER_TOKEN


def test_the_guess_of_bytes_per_token_holds_for_a_tokenizer_of_few_words(
    tmp_path: Path,
) -> None:
    """The bundled tokenizer knows 8,192 words of another world: none in use cuts text finer."""
    tokenizer = AutoTokenizer.from_pretrained(REFERENCE_WEIGHTS)
    text = " ".join(sentences_of(rng_of("test", 0, 0), 500))
    assert len(text.encode()) / len(tokenizer(text).input_ids) > 0.6 * BYTES_PER_TOKEN
