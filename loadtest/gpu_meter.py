"""Samples the GPUs of an endpoint while it is loaded, in a thread beside the load generator.

It runs in the process that waits for Locust and not in Locust's own, whose clock must not wait for
a driver: one reading of the energy takes 3 ms and up to 24 (measured on an H200).
"""

import threading
import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

from loadtest.gpu_window import GpuWindow, gpu_windows
from services.gpus.gpu_use import GpuUse
from services.gpus.nvml import read_gpus

PERIOD_S = 0.25


class GpuMeter:
    """Reads the GPUs of some UUIDs for as long as its block lasts; those of other machines never.

    ``read`` tells those of some UUIDs that are in this machine.
    """

    def __init__(
        self,
        uuids: Collection[str],
        read: Callable[[Collection[str]], list[GpuUse]] = lambda uuids: read_gpus(only=uuids),
    ) -> None:
        self._uuids = frozenset(uuids)
        self._read = read
        self._samples: list[GpuUse] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-meter", daemon=True)
        self.began_s = time.monotonic()

    def __enter__(self) -> Self:
        if self._uuids:
            self._sample()
            self._thread.start()
        # From here on every GPU has a sample before it.
        self.began_s = max((gpu.read_at_s for gpu in self._samples), default=self.began_s)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End with one more sample, so that the last window is enclosed."""
        self._over.set()
        if self._uuids:
            self._thread.join()
            self._sample()

    def windows(
        self, start_s: float, end_s: float, uuids: Collection[str]
    ) -> tuple[GpuWindow, ...]:
        """What some of them did between two moments of the monotonic clock."""
        mine = [sample for sample in self._samples if sample.uuid in uuids]
        return tuple(gpu_windows(mine, start_s, end_s))

    def wait_idle(self, seconds: float) -> None:
        """Let an endpoint be idle for so long; not where there is no GPU to be watched."""
        if self._samples:
            time.sleep(seconds)

    def _run(self) -> None:
        while not self._over.wait(PERIOD_S):
            self._sample()

    def _sample(self) -> None:
        self._samples += self._read(self._uuids)
