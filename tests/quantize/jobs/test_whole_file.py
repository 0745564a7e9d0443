from pathlib import Path

import pytest

from quantize.jobs.whole_file import write_whole, writing


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    path.write_text("old")
    with writing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    write_whole(path, "old")
    with pytest.raises(ZeroDivisionError), writing(path) as temporary:
        temporary.write_text(str(1 / 0))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_utf8_and_bytes_are_kept(tmp_path: Path) -> None:
    write_whole(tmp_path / "text", "ä")
    write_whole(tmp_path / "bytes", b"\xff")
    assert (tmp_path / "text").read_bytes() == "ä".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\xff"
