"""How many CPUs this process may keep busy: what decides every number of threads.

A container on a large machine is scheduled on all of its CPUs and then held back by a quota of its
control group: with a thread for each of them, most of every period is spent waiting. Standard
library only: the servers inside the engines' environments ask this too.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CONTROLLER = "cpu"
_UNIFIED = ""  # the name by which /proc/<pid>/cgroup lists version 2


def usable_cpus(root: Path = Path("/")) -> int:
    """The CPUs of our affinity, or as many whole ones as the control group's quota allows.

    ``root`` is where ``proc`` and ``sys`` are found. At least 1.
    """
    count = len(os.sched_getaffinity(0))
    quota = cpu_quota(root)
    return count if quota is None else max(1, min(count, int(quota)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The smallest quota of our control group and those above it, in CPUs; None: there is none.

    Both versions of control groups are read (kernel documentation: cgroup-v2, section CPU, and
    sched-bwc).
    """
    quotas = [quota for folder in _folders(root) if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def _folders(root: Path) -> Iterator[Path]:
    """Where our control group's files may be, up to the top of the hierarchy.

    Inside a container the path that the kernel tells may be the host's: then the top is our own.
    """
    mounts = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, names, path = line.split(":", 2)
        if names == _UNIFIED:
            tops = [mounts, mounts / "unified"]
        elif _CONTROLLER in names.split(","):
            tops = [mounts / names, mounts / _CONTROLLER]
        else:
            continue
        inner = PurePosixPath(path.lstrip("/"))
        for top in tops:
            yield from (top / part for part in (inner, *inner.parents))


def _quota_of(folder: Path) -> float | None:
    """The quota that one control group sets itself, in CPUs."""
    try:
        if (unified := folder / "cpu.max").exists():
            quota, period = unified.read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text()
        # "max" in the one version, -1 in the other.
        return None if quota in {"max", "-1"} else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
