"""How much of the processors other programs use while a load test measures.

What is measured shares its cores with whoever else is there; a program that comes in one hour and
not in the other turns a verdict round, and no interval of the run shows it. So the time that the
cores were busy is taken (``/proc/stat``, those cores that we may use), and the time of everything
that belongs to the run is taken off: this command, what it started, and the service that it loads,
with all their children. What is left are neighbours, the hypervisor's among them (``steal``).
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from deploy.plan import Serving
from deploy.service import belongs, read_record

_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
_KERNEL_THREADS = 2


@dataclass(frozen=True, kw_only=True)
class Look:
    """Processor seconds since the machine's start, of all and of the run's own; ``at_s`` is now."""

    at_s: float
    busy_s: float
    own_s: float


def neighbour_share(before: Look, after: Look, cores: int) -> float:
    """The share of ``cores`` processors that others used between two looks, 0 to 1."""
    others_s = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    capacity_s = (after.at_s - before.at_s) * cores
    return min(1.0, max(0.0, others_s / capacity_s)) if capacity_s > 0 else 0.0


class NeighbourWatch:
    """Looks at the processors; ``owns`` says of a process whether it is of the run.

    Its answer is asked once per process, its children belong with it. A look takes some
    milliseconds of this process alone.
    """

    def __init__(self, owns: Callable[[psutil.Process], bool]) -> None:
        self._owns = owns
        self._known: dict[tuple[int, float], bool] = {}
        self.cores = _cores()

    def look(self) -> Look:
        """The state of now."""
        own_s = sum(_used_s(process) for process in self._own_processes())
        return Look(at_s=time.monotonic(), busy_s=_busy_s(self.cores), own_s=own_s)

    def share_since(self, before: Look) -> float:
        """The share that others have used since a look, 0 to 1."""
        return neighbour_share(before, self.look(), len(self.cores))

    def own_cores_since(self, before: Look) -> float:
        """How many processors the run's own programs kept busy since a look."""
        now = self.look()
        seconds = now.at_s - before.at_s
        return max(0.0, now.own_s - before.own_s) / seconds if seconds > 0 else 0.0

    def _own_processes(self) -> list[psutil.Process]:
        found = {process.pid: process for process in psutil.process_iter(["ppid"])}
        parents = {pid: process.info["ppid"] for pid, process in found.items()}
        roots = {pid for pid, process in found.items() if self._is_root(process)}
        return [process for pid, process in found.items() if _has_root(pid, parents, roots)]

    def _is_root(self, process: psutil.Process) -> bool:
        try:
            key = (process.pid, process.create_time())
        except psutil.Error:
            return False
        if key not in self._known:
            itself = process.pid in {os.getpid(), _KERNEL_THREADS}
            self._known[key] = itself or self._owns(process)
        return self._known[key]


def watch_service(serving: Serving) -> NeighbourWatch | None:
    """A watch that takes the plan's service for our own; None where its processes are not known.

    That is a service on another machine, or one that another checkout started.
    """
    record = read_record()
    if record is None or record.url != serving.url or not record.is_alive():
        return None
    return NeighbourWatch(lambda it: belongs(it, record.deployment, record.ray_folder))


def _has_root(pid: int, parents: dict[int, int], roots: set[int]) -> bool:
    """Whether a process or one of its forebears is among ``roots``."""
    seen: set[int] = set()
    while pid not in roots:
        if pid in seen or pid not in parents:
            return False
        seen.add(pid)
        pid = parents[pid]
    return True


def _used_s(process: psutil.Process) -> float:
    """Its processor time with that of the children that it has buried; 0 where it is gone."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _cores() -> list[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _busy_s(cores: list[int]) -> float:
    times = psutil.cpu_times(percpu=True)
    return sum(getattr(times[core], kind, 0.0) for core in cores for kind in _BUSY)
