"""An engine's log stays within its bound, and the engine writes on undisturbed."""

import os
from pathlib import Path

from services.engine.engine_log import EngineLog

LIMIT_BYTES = 1000


def test_a_log_is_cut_and_its_end_kept_while_the_engine_writes_on(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log", LIMIT_BYTES)
    with log.open() as stream:
        for number in range(100):
            os.write(stream.fileno(), b"line %08d\n" % number)
        assert log.is_over()
        log.cut()
        assert not log.is_over()
        os.write(stream.fileno(), b"afterwards\n")
    assert log.path.read_bytes() == b"afterwards\n"
    assert log.older.stat().st_size == LIMIT_BYTES
    lines = log.tail().splitlines()
    assert lines[-2:] == ["line 00000099", "afterwards"]
    assert len(lines) == 20


def test_the_error_that_a_long_traceback_hides_comes_first(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    where = "(Worker pid=7) ERROR 11-28 05:02:35 [core.py:1510]"
    told = f"{where} Traceback\n{where} RuntimeError: 160 MiB required\n" + "  a frame\n" * 30
    log.path.write_text(f"INFO such as `OSError: x`\n{told}RuntimeError: see above\n")
    lines = log.tail().splitlines()
    assert lines[0] == "RuntimeError: 160 MiB required …"
    assert lines[-1] == "RuntimeError: see above"
    assert len(lines) == 20
    log.path.write_text(f"{where} RuntimeError: 160 MiB required\n")
    assert log.tail() == f"{where} RuntimeError: 160 MiB required"


def test_of_a_long_log_only_the_end_is_read(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    log.path.write_text("RuntimeError: long ago\n" + f"{'x' * 99}\n" * 1000 + "it ended\n")
    assert "long ago" not in log.tail()
    assert log.tail().endswith("it ended")


def test_a_new_engine_gets_an_empty_log_and_the_last_ones_is_kept(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "logs" / "engine.log")
    with log.open() as stream:
        stream.write(b"the first\n")
    with log.open() as stream:
        stream.write(b"the second\n")
    assert log.tail() == "the second"
    assert log.older.read_text() == "the first\n"


def test_a_log_is_cut_even_where_its_end_cannot_be_kept(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log", LIMIT_BYTES)
    log.older.mkdir()
    with log.path.open("ab") as stream:
        stream.write(b"x" * 2 * LIMIT_BYTES)
    log.cut()
    assert log.path.stat().st_size == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engine.log", "engine.log.1"]
