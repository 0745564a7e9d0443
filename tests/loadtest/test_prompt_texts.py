"""Prompts from a user's file: every shape that such files have, and where a wrong one is wrong."""

import json
from pathlib import Path

import pytest

from loadtest.prompt_texts import read_prompt_texts
from loadtest.prompts import PromptError

SHAREGPT = [
    {
        "id": "a",
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": "What is TTFT?"},
            {"from": "gpt", "value": "A latency."},
            {"from": "human", "value": "And TPOT?"},
        ],
    },
    {"id": "b", "conversations": []},
    {"id": "c", "conversations": [{"from": "human", "value": "Hello"}]},
]


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_a_sharegpt_file_gives_the_first_words_of_each_user(tmp_path: Path) -> None:
    path = written(tmp_path, "share.json", json.dumps(SHAREGPT, indent=1))
    assert read_prompt_texts(path) == ["What is TTFT?", "Hello"]


def test_jsonl_may_hold_texts_prompts_and_chats(tmp_path: Path) -> None:
    rows = [
        {"text": "one\u2028two"},
        {"prompt": "three"},
        {"messages": [{"role": "user", "content": "four"}]},
        {"text": " "},
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path = written(tmp_path, "rows.jsonl", f"\ufeff{lines}\n\n")
    assert read_prompt_texts(path) == ["one\u2028two", "three", "four"]


def test_the_texts_of_a_plain_file_are_its_paragraphs(tmp_path: Path) -> None:
    path = written(tmp_path, "book.txt", "One\nand on.\n\n \n\nTwo.\n")
    assert read_prompt_texts(path) == ["One\nand on.", "Two.\n"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.jsonl", '{"text": "x"}\n{"text": \n', "line 2: no JSON"),
        ("a.jsonl", '{"text": "x"}\n{"texts": "y"}\n', "line 2: expected an object with"),
        ("a.json", '[{"text": "x"}, 7]', "entry 2: expected an object with"),
        ("a.json", '[{"text": "x"}', "no JSON"),
        ("a.jsonl", '{"messages": ["x"]}', "line 1: expected"),
        ("a.txt", "\n \n", "holds no text"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(
    tmp_path: Path, name: str, content: str, why: str
) -> None:
    with pytest.raises(PromptError, match=why) as caught:
        read_prompt_texts(written(tmp_path, name, content))
    assert str(caught.value).startswith(f"load.text: {tmp_path / name}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"gone\.json cannot be read"):
        read_prompt_texts(tmp_path / "gone.json")
