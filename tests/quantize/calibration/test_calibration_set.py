import json
from pathlib import Path

import pytest

from quantize.calibration.calibration_set import (
    CalibrationError,
    CalibrationPlan,
    calibration_plan,
    pack,
    plan_sha256,
    read_documents,
    read_texts,
    token_sha256,
)


def plan(samples: int = 2, sequence_length: int = 3) -> CalibrationPlan:
    return CalibrationPlan(path=Path("t.jsonl"), samples=samples, sequence_length=sequence_length)


def test_documents_are_laid_end_to_end_and_cut() -> None:
    assert pack([[1, 2], [3, 4, 5, 6, 7]], plan()) == [[1, 2, 3], [4, 5, 6]]


def test_a_short_text_is_refused_with_what_would_fit() -> None:
    with pytest.raises(CalibrationError, match=r"5 tokens.*need 6; ask for at most 1 samples"):
        pack([[1, 2], [3, 4, 5]], plan())


def test_the_hash_of_the_tokens_depends_on_their_order() -> None:
    assert token_sha256([[1, 2]]) == token_sha256([[1], [2]]) != token_sha256([[2, 1]])


@pytest.mark.parametrize("content", ["", "\n\n", '{"text": "  "}\n'])
def test_an_empty_text_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(content)
    with pytest.raises(CalibrationError, match="holds no text"):
        read_texts(path)


@pytest.mark.parametrize(
    "line", ["plain text", '{"words": "x"}', '{"text": 3}', '["x"]', '{"messages": [{"a": 1}]}']
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "fine"}\n' + line)
    with pytest.raises(CalibrationError, match="line 2"):
        read_texts(path)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CalibrationError, match=r"no calibration text at gone\.jsonl"):
        calibration_plan("gone.jsonl", 1, 1)


def test_the_plans_hash_follows_text_and_sizes(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "a"}')
    first = plan_sha256(calibration_plan(str(path), 2, 16))
    assert first != plan_sha256(calibration_plan(str(path), 3, 16))
    path.write_text('{"text": "b"}')
    assert first != plan_sha256(calibration_plan(str(path), 2, 16))


def test_other_ends_of_lines_inside_a_text_and_a_byte_order_mark_are_no_fault(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.jsonl"
    texts = ["one\u2028two\x85three", "four"]
    lines = "\r\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    path.write_bytes(lines.encode("utf-8-sig"))
    assert read_texts(path) == texts


def test_a_text_file_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("One line.\n\nAnother.")
    assert read_texts(path) == ["One line.\n\nAnother."]


def test_a_chat_is_kept_beside_what_it_reads_like(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    path.write_text(json.dumps({"messages": messages}) + "\n")
    [document] = read_documents(path)
    assert document.messages == messages
    assert document.text == "User: Hello\n\nAssistant: Hi"
