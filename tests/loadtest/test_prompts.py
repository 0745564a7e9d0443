import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from loadtest.prompts import (
    ATTEMPTS,
    BLOCK,
    PromptError,
    load_prompts,
    make_prompts,
    plain_prompts,
    prompt_number,
)
from quantize.root import ROOT
from tests.loadtest.examples import some_prompts

WORDS = [f"w{number}" for number in range(50)]


@pytest.fixture
def tokenizer_directory(tmp_path: Path) -> Path:
    vocabulary = {word: place for place, word in enumerate(["<s>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>"}))
    return tmp_path


def texts() -> list[str]:
    rng = np.random.default_rng(7)
    return [" ".join(rng.choice(WORDS, size=40)) for _ in range(20)]


def test_every_prompt_has_the_exact_length_and_begins_with_bos(tokenizer_directory: Path) -> None:
    source = make_prompts(tokenizer_directory, texts(), seed=0)
    for length in (1, 2, 24, 5000):
        prompt = source.prompt(3, length)
        assert (len(prompt), prompt[0]) == (length, 0)


def test_no_two_prompts_share_their_beginning_even_when_the_starts_are_used_up() -> None:
    source = some_prompts()
    leads = [tuple(source.prompt(number, 24)[:BLOCK]) for number in range(5000)]
    assert len(set(leads)) == len(leads)


def test_repeated_text_gives_one_start_only(tokenizer_directory: Path) -> None:
    source = make_prompts(tokenizer_directory, [texts()[0]] * 30, seed=0)
    leads = {tuple(source.prompt(n, 24)[:BLOCK]) for n in range(len(source.starts))}
    assert len(leads) == len(source.starts) < len(source.ids) / 10


def test_the_same_seed_gives_the_same_prompts_and_another_seed_others(
    tokenizer_directory: Path,
) -> None:
    one, same, other = (make_prompts(tokenizer_directory, texts(), seed=s) for s in (1, 1, 2))
    assert one.sha256() == same.sha256() != other.sha256()
    assert one.prompt(5, 30) == same.prompt(5, 30)


def test_prompts_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    source = some_prompts()
    source.save(tmp_path / "prompts.npz")
    assert load_prompts(tmp_path / "prompts.npz").sha256() == source.sha256()
    assert [path.name for path in tmp_path.iterdir()] == ["prompts.npz"]


def test_a_later_load_test_has_prompts_that_the_server_has_not_seen() -> None:
    source = plain_prompts(500)
    place = {"round_number": 0, "rounds": 2, "level": 0, "levels": 1}
    numbers = [[prompt_number(index=i, series=k, **place) for i in range(300)] for k in range(3)]
    prompts = {tuple(source.prompt(number, 32)) for series in numbers for number in series}
    assert len(prompts) == 900


def test_no_prompt_number_comes_twice_between_rounds_levels_and_attempts() -> None:
    numbers = [
        prompt_number(index=i, round_number=k, rounds=3, level=level, levels=2, attempt=attempt)
        for i in range(50)
        for k in range(3)
        for level in range(2)
        for attempt in range(ATTEMPTS)
    ]
    assert sorted(numbers) == list(range(len(numbers)))


def test_a_model_without_a_tokenizer_is_refused_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"tokenizer\.json: prompts need the model's tokenizer"):
        make_prompts(tmp_path, texts(), seed=0)


def test_a_tokenizer_is_read_as_utf_8_whatever_the_locale_says(tokenizer_directory: Path) -> None:
    path = tokenizer_directory / "tokenizer.json"
    path.write_bytes(path.read_bytes().replace(b'"w49"', '"Straße"'.encode()))
    asked = f"make_prompts(Path({str(tokenizer_directory)!r}), {texts()!r}, seed=0)"
    program = f"from pathlib import Path; from loadtest.prompts import make_prompts; {asked}"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", program], env=plain, cwd=ROOT, check=True)


def test_too_little_text_is_refused(tokenizer_directory: Path) -> None:
    with pytest.raises(PromptError, match="too few"):
        make_prompts(tokenizer_directory, ["w1 w2"], seed=0)


def test_prompts_may_be_whole_texts_of_their_own_length(
    tokenizer_directory: Path, tmp_path: Path
) -> None:
    ragged = [" ".join(WORDS[:length]) for length in (5, 12, 31, 31)]
    source = make_prompts(tokenizer_directory, ragged, seed=0, whole=True)
    lengths = [source.text_length(number) for number in range(3)]
    assert sorted(lengths) == [6, 13, 32]
    for number, length in enumerate(lengths):
        prompt = source.prompt(number, length)
        assert prompt == [0, *range(2, 1 + length)]
    source.save(tmp_path / "prompts.npz")
    kept = load_prompts(tmp_path / "prompts.npz")
    again = [kept.text_length(number) for number in range(6)]
    assert (again[:3], sorted(again[3:])) == (lengths, sorted(lengths))
    assert kept.sha256() == source.sha256()


@pytest.mark.parametrize("count", [3, 6, 10, 100])
def test_numbers_that_lie_evenly_apart_meet_all_texts(count: int) -> None:
    ids = np.arange(1000, dtype=np.int32)
    starts = np.arange(count, dtype=np.int32) * 10
    source = replace(
        some_prompts(), ids=ids, starts=starts, lengths=np.arange(20, 20 + count, dtype=np.int32)
    )
    numbers = [
        prompt_number(index=index, round_number=1, rounds=5, level=0, levels=2)
        for index in range(10 * count)
    ]
    met = Counter(source.text_length(number) for number in numbers)
    assert len(met) == count
    assert max(met.values()) < 25
    leads = {tuple(source.prompt(number, 24)[:BLOCK]) for number in numbers}
    assert len(leads) == len(numbers)
