"""Keeps the load generator prompt and watches it: its share of a core, its event loop's lag."""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from loadtest.job import ClientHealth

LAG_INTERVAL_S = 0.02
CPU_INTERVAL_S = 0.5


def go_first() -> None:
    """Ask the kernel to run this process as soon as it wakes, before whatever it measures.

    It uses a few percent of a core, but among engines whose idle threads yield in a loop it was
    seen to wait a second for that (Linux 6.18, two cores, vLLM). Needs root or CAP_SYS_NICE;
    without them nothing changes, and a generator that then lags voids its own figures.
    """
    if hasattr(os, "SCHED_RR"):
        with contextlib.suppress(PermissionError):
            lowest = os.sched_param(os.sched_get_priority_min(os.SCHED_RR))
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, lowest)


class HealthMonitor:
    """Samples while its ``with`` block runs, in a task made by ``spawn`` that waits by ``sleep``.

    The two callables are gevent's; they are passed in because importing gevent's users is reserved
    for the Locust process.
    """

    def __init__(
        self, sleep: Callable[[float], None], spawn: Callable[[Callable[[], None]], Any]
    ) -> None:
        self._sleep = sleep
        self._spawn = spawn
        self._lags_s: list[float] = []
        self._cpu_shares: list[float] = []

    def __enter__(self) -> "HealthMonitor":
        self._mark = (time.monotonic(), time.process_time())
        self._began_cpu_s = self._ended_cpu_s = self._mark[1]
        self._task = self._spawn(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        self._task.kill()
        self._ended_cpu_s = time.process_time()
        if not self._cpu_shares:
            self._sample_cpu()

    def _watch(self) -> None:
        while True:
            due = time.monotonic() + LAG_INTERVAL_S
            self._sleep(LAG_INTERVAL_S)
            self._lags_s.append(max(0.0, time.monotonic() - due))
            if time.monotonic() - self._mark[0] >= CPU_INTERVAL_S:
                self._sample_cpu()

    def _sample_cpu(self) -> None:
        before, self._mark = self._mark, (time.monotonic(), time.process_time())
        wall_s = self._mark[0] - before[0]
        self._cpu_shares.append((self._mark[1] - before[1]) / wall_s if wall_s > 0 else 0.0)

    def health(self) -> ClientHealth:
        """The 95th percentiles of what was sampled, and the processor time of the whole block."""
        return ClientHealth(
            cpu_share_p95=float(np.percentile(self._cpu_shares, 95)),
            loop_lag_p95_s=float(np.percentile(self._lags_s, 95)) if self._lags_s else 0.0,
            cpu_s=self._ended_cpu_s - self._began_cpu_s,
        )
