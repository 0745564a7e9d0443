"""The fuzzer that is a tool of others: how it ends, and that nothing of it stays."""

import os
from pathlib import Path

import psutil

from tests.benches.fuzz.campaign import run_to_end


def test_a_tools_exit_code_is_its_fault_and_its_words_are_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run_to_end(["sh", "-c", "echo said"], os.environ, log, 60) is None
    assert log.read_text() == "said\n"
    assert run_to_end(["sh", "-c", "exit 3"], os.environ, log, 60) == "exit code 3"


def test_a_tool_that_is_stuck_is_ended(tmp_path: Path) -> None:
    own = f"300.{os.getpid()}"
    fault = run_to_end(["sleep", own], os.environ, tmp_path / "log", 3)
    assert fault == "no end after 3 s"
    running = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not any(own in command for command in running)
