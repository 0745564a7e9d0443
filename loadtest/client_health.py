"""Watches the load generator itself: its share of a core and the lag of its event loop."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from loadtest.job import ClientHealth

LAG_INTERVAL_S = 0.02
CPU_INTERVAL_S = 0.5


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
        self._task = self._spawn(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        self._task.kill()
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
        """The 95th percentiles of what was sampled."""
        return ClientHealth(
            cpu_share_p95=float(np.percentile(self._cpu_shares, 95)),
            loop_lag_p95_s=float(np.percentile(self._lags_s, 95)) if self._lags_s else 0.0,
        )
