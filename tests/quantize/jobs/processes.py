"""Waiting for processes of another process, in tests."""

import time
from pathlib import Path

from quantize.jobs.lifeline import start_time


def wait_until_gone(pids: list[int], timeout_s: float = 20) -> bool:
    """Whether all of them end in time; a zombie nobody collected has ended."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if all(start_time(pid) is None for pid in pids):
            return True
        time.sleep(0.05)
    return False


def numbers_in(log: Path, count: int) -> list[int]:
    """The first numbers that another process writes to a log, once they are there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        words = log.read_text().split() if log.exists() else []
        if len(words) >= count:
            return [int(word) for word in words[:count]]
        time.sleep(0.05)
    raise AssertionError("the tool never started")
