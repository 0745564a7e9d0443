"""Who uses the processor while a block runs, and where a replica spends its share."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import psutil

from quantize.jobs.lifeline import guarded

SAMPLE_S = 5
SHOWN = 15


def cpu_s(processes: Mapping[str, list[psutil.Process]]) -> dict[str, float]:
    """Processor seconds used so far, per role; a process that is gone counts no more."""
    used: dict[str, float] = {}
    for role, members in processes.items():
        used[role] = 0.0
        for process in members:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            used[role] += times.user + times.system
    return used


def microseconds_per_token(
    before: Mapping[str, float], after: Mapping[str, float], tokens: float
) -> dict[str, float]:
    """Processor time that each role spent on one token of a block, in microseconds."""
    return {role: (after[role] - before[role]) / max(tokens, 1) * 1e6 for role in before}


def sampler(pid: int, raw: Path) -> subprocess.Popen[bytes] | None:
    """py-spy over a process for ``SAMPLE_S`` seconds; None where it is not installed.

    Only what holds the interpreter's lock is sampled: an event loop in C that waits looks busy.
    The process is not stopped for it, which on a full machine would be most of what is measured.
    """
    found = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if found is None:
        return None
    options = ["--pid", str(pid), "--duration", str(SAMPLE_S), "--format", "raw"]
    how = ["--rate", "100", "--gil", "--nonblocking"]
    return subprocess.Popen(
        guarded([found, "record", *options, "--output", str(raw), *how]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def busiest(raw: str, shown: int = SHOWN) -> list[str]:
    """The functions in which the samples of a raw profile ended, the most frequent first.

    A line of the format is ``frame;frame;…;frame count``.
    """
    own: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if count.isdigit() and stack:
            own[stack.rpartition(";")[2]] += int(count)
    total = sum(own.values())
    return [f"{count / total:6.1%}  {frame}" for frame, count in own.most_common(shown)]
