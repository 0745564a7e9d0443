"""Waiting for processes of another process, in tests."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from quantize.jobs.lifeline import start_time
from quantize.root import ROOT


def wait_until_gone(pids: list[int], timeout_s: float = 20) -> bool:
    """Whether all of them end in time; a zombie nobody collected has ended."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if all(start_time(pid) is None for pid in pids):
            return True
        time.sleep(0.05)
    return False


def killed_leaves_nothing(script: str, processes: int, **variables: str) -> bool:
    """Whether all that a script of ours started ends with it, once that is so many processes."""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}) as owner:
        try:
            started = _descendants(owner.pid, processes)
        finally:
            owner.kill()
    return wait_until_gone(started)


def _descendants(pid: int, count: int) -> list[int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = psutil.Process(pid).children(recursive=True)
        if len(found) >= count:
            return [process.pid for process in found]
        time.sleep(0.05)
    raise AssertionError(f"it never started {count} processes")


def numbers_in(log: Path, count: int) -> list[int]:
    """The first numbers that another process writes to a log, once they are there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        words = log.read_text().split() if log.exists() else []
        if len(words) >= count:
            return [int(word) for word in words[:count]]
        time.sleep(0.05)
    raise AssertionError("the tool never started")
