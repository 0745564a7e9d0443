from dataclasses import replace
from itertools import pairwise, takewhile
from pathlib import Path
from statistics import fmean

import pytest
from tokenizers import Tokenizer

from loadtest.prompts import PromptError
from loadtest.texts import (
    CHARACTERS,
    Texts,
    exact_texts,
    load_texts,
    new_mark,
    plain_texts,
    save_texts,
)
from quantize.calibration.calibration_set import GENERAL_TEXT, read_texts
from quantize.root import ROOT

REFERENCE = ROOT / "quantize" / "reference_model" / "weights"


def test_plain_texts_are_unique_and_about_as_long_as_asked() -> None:
    texts = plain_texts(read_texts(GENERAL_TEXT), 64).texts
    assert len(texts) == len({text[:40] for text in texts}) > 500
    assert max(map(len, texts)) <= 64 * CHARACTERS + 1
    assert sorted(map(len, texts))[len(texts) // 2] > 60 * CHARACTERS


def test_a_short_text_is_gone_round_and_one_of_a_few_words_refused() -> None:
    assert all(len(text) > 300 for text in plain_texts(["a word or two " * 10], 100).texts)
    with pytest.raises(PromptError, match="too few"):
        plain_texts(["only three words"], 10)


def test_exact_texts_are_as_many_tokens_as_asked() -> None:
    known = Tokenizer.from_file(str(REFERENCE / "tokenizer.json"))
    texts = exact_texts(read_texts(GENERAL_TEXT)[:8], 20, REFERENCE).texts
    assert {len(known.encode(text, add_special_tokens=False).ids) for text in texts} == {20}
    with pytest.raises(PromptError, match=r"tokenizer\.json"):
        exact_texts(["text"], 20, Path("/nowhere"))


def test_no_run_begins_its_texts_as_another_did_and_they_are_as_long_all_the_same() -> None:
    known, source = Tokenizer.from_file(str(REFERENCE / "tokenizer.json")), read_texts(GENERAL_TEXT)
    marks = [new_mark(), new_mark()]
    one, other = (plain_texts(source[:8], 64, mark).texts for mark in marks)
    assert not {text[:8] for text in one} & {text[:8] for text in other}
    assert max(map(len, one)) <= 64 * CHARACTERS + 1
    one, other = (exact_texts(source[:8], 32, REFERENCE, mark).texts for mark in marks)
    ids = [known.encode(text, add_special_tokens=False).ids for text in (*one, *other)]
    assert {len(found) for found in ids} == {32}
    assert not {text[:8] for text in one} & {text[:8] for text in other}
    assert len(exact_texts(source[:8], 1, REFERENCE, marks[0]).texts) > 0


def test_a_short_mark_of_the_run_makes_no_text_longer_than_asked() -> None:
    texts = plain_texts(read_texts(GENERAL_TEXT)[:8], 64, "m ").texts
    assert max(map(len, texts)) <= round(64 * CHARACTERS)


def test_nothing_of_a_text_is_in_a_prefix_cache_for_another_text_of_the_run() -> None:
    source = read_texts(GENERAL_TEXT)[:8]
    known = Tokenizer.from_file(str(REFERENCE / "tokenizer.json"))
    for texts in (
        plain_texts(source, 64, "mark ").texts,
        exact_texts(source, 64, REFERENCE, "mark ").texts,
    ):
        assert len({text[:8] for text in texts}) == len(texts)
        ids = [known.encode(text, add_special_tokens=False).ids for text in texts[:200]]
        shared = [sum(takewhile(bool, map(int.__eq__, a, b))) for a, b in pairwise(ids)]
        assert fmean(shared) < 1


def test_texts_come_back_never_run_out_and_never_grow(tmp_path: Path) -> None:
    save_texts(tmp_path / "texts.json", Texts(["one", "two of these are longer"]))
    texts = load_texts(tmp_path / "texts.json")
    assert [texts.text(number) for number in range(5)] == [
        *("one", "two of these are longer", "(1) one", "(1) two of these are lo", "(2) one")
    ]


def test_each_of_a_thousand_requests_has_the_exact_length_however_few_texts_there_are(
    tmp_path: Path,
) -> None:
    known = Tokenizer.from_file(str(REFERENCE / "tokenizer.json"))
    save_texts(tmp_path / "t", exact_texts(read_texts(GENERAL_TEXT)[:3], 24, REFERENCE, new_mark()))
    texts = load_texts(tmp_path / "t")
    assert len(texts.texts) < 500
    asked = [texts.text(number) for number in range(0, 18_000, 18)]
    assert {len(known.encode(it, add_special_tokens=False).ids) for it in asked} == {24}
    assert len({text[:20] for text in asked}) == 1000


def test_a_tokenizer_that_is_gone_is_told(tmp_path: Path) -> None:
    texts = exact_texts(read_texts(GENERAL_TEXT)[:1], 8, REFERENCE)
    assert texts.exact is not None
    save_texts(tmp_path / "t", replace(texts, exact=replace(texts.exact, tokenizer="/nowhere")))
    with pytest.raises(PromptError, match="/nowhere"):
        load_texts(tmp_path / "t")
