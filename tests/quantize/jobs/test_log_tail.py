from pathlib import Path

from quantize.jobs.log_tail import log_tail, log_text


def test_the_end_of_a_log_is_shown_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    assert log_tail(log) == ""
    log.write_text("\n".join(str(number) for number in range(100_000)))
    assert log_tail(log, 2) == "99998\n99999"
    assert len(log_text(log)) == 1 << 14


def test_terminal_control_sequences_are_left_out(tmp_path: Path) -> None:
    log = tmp_path / "tool.log"
    log.write_text("\x1b[31mred\x1b[0m\rdone")
    assert log_tail(log) == "red\ndone"
