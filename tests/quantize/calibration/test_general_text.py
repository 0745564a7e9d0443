"""The general texts: what the generator makes, of many kinds, nothing asked that was calibrated on.

covers: quantize/calibration/templated.py, quantize/calibration/general.jsonl,
quantize/calibration/authored/*.txt, eval/tasks/data/assay_general_*.jsonl
"""

import json
from collections import Counter
from typing import Any

import pytest

from quantize.calibration.calibration_set import GENERAL_TEXT, plain_chat, read_documents
from quantize.calibration.general_text import HELD_OUT_TEXT, as_jsonl, data_files, read_chat
from quantize.root import ROOT

TASKS = ROOT / "eval" / "tasks"
# The least that the default size (64 sequences of 512) needs at four bytes a token, and a quarter.
LEAST_BYTES = 64 * 512 * 5


def rows(path: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_files_are_what_the_generator_generates() -> None:
    for path, generated in data_files().items():
        assert path.read_text(encoding="utf-8") == as_jsonl(generated), path.name


def test_the_calibration_text_is_large_and_mostly_written_by_hand() -> None:
    sizes: Counter[str] = Counter()
    for row, document in zip(rows(GENERAL_TEXT), read_documents(GENERAL_TEXT), strict=True):
        sizes[row["kind"]] += len(document.text.encode())
    assert sizes.total() >= LEAST_BYTES
    assert sizes["sums"] + sizes["records"] + sizes["tools"] < 0.2 * sizes.total()
    assert max(sizes.values()) < 0.3 * sizes.total()


def test_the_held_out_text_has_all_kinds_that_are_calibrated_on_and_none_of_the_documents() -> None:
    known = {document.text for document in read_documents(GENERAL_TEXT)}
    held = rows(HELD_OUT_TEXT)
    assert not known.intersection(row["text"] for row in held)
    assert len({row["text"] for row in held}) == len(held) >= 50
    authored = {path.stem for path in (ROOT / "quantize/calibration/authored").glob("*.txt")}
    assert {row["kind"] for row in held} == authored
    assert authored < {row["kind"] for row in rows(GENERAL_TEXT)}


def test_no_long_passage_of_the_held_out_text_stands_in_the_calibration_text() -> None:
    known = "\n".join(document.text for document in read_documents(GENERAL_TEXT))
    for row in rows(HELD_OUT_TEXT):
        for start in range(0, len(row["text"]) - 120, 120):
            assert row["text"][start : start + 120] not in known, row["id"]


def test_every_question_has_four_different_choices_and_the_positions_are_balanced() -> None:
    items = rows(TASKS / "data" / "assay_general_choice.jsonl")
    assert len(items) >= 150
    assert (
        len({row["question"] for row in items}) == len({row["id"] for row in items}) == len(items)
    )
    assert all(len(set(row["choices"])) == 4 for row in items)
    positions = Counter(row["answer"] for row in items)
    assert max(positions.values()) - min(positions.values()) <= 1
    assert min(Counter(row["kind"] for row in items).values()) >= 15


def test_a_marked_up_chat_is_read_turn_by_turn() -> None:
    chat = read_chat(
        '@tools\n[{"type": "function", "function": {"name": "f"}}]\n@user\nOne\n\ntwo\n'
        '@call\n{"name": "f", "arguments": {}}\n@tool\n3\n@assistant\nThree.'
    )
    assert [message["role"] for message in chat["messages"]] == [
        *("user", "assistant", "tool", "assistant")
    ]
    assert chat["messages"][0]["content"] == "One\n\ntwo"
    assert chat["tools"][0]["function"]["name"] == "f"
    assert plain_chat(chat["messages"]).startswith("User: One\n\ntwo\n\nAssistant: {")
    with pytest.raises(ValueError, match="marked @usr"):
        read_chat("@usr\nOne")
