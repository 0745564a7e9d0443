"""The engine's state as Prometheus text, read from the scheduler's counters at scrape time."""

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from services.server.scheduler import Scheduler

Families = tuple[tuple[str, str, float], ...]


class EngineMetrics:
    """A collector of its own, so that several servers in one process do not collide."""

    def __init__(self, scheduler: Scheduler, cache_capacity_tokens: int) -> None:
        self._scheduler = scheduler
        self._cache_capacity_tokens = cache_capacity_tokens
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """All series; names begin with ``engine_``."""
        for name, text, value in self._gauges():
            yield GaugeMetricFamily(f"engine_{name}", text, value=value)
        for name, text, value in self._counters():
            yield CounterMetricFamily(f"engine_{name}", text, value=value)

    def _gauges(self) -> Families:
        now = self._scheduler.statistics
        return (
            ("sequences_running", "Sequences that hold a slot", now.running),
            ("sequences_waiting", "Sequences that wait for a slot", self._scheduler.waiting),
            ("batch_tokens", "Tokens in the latest decode", now.batch_tokens),
            ("tasks", "Tasks of the HTTP server's loop, this scrape's too", _tasks()),
            (
                "kv_cache_tokens",
                "Tokens in the key-value cache, those kept for reuse too",
                self._scheduler.cached_tokens,
            ),
            (
                "kv_cache_used_ratio",
                "Part of the key-value cache that running sequences hold",
                self._scheduler.held_tokens / self._cache_capacity_tokens,
            ),
        )

    def _counters(self) -> Families:
        now = self._scheduler.statistics
        return (
            ("steps", "Decodes so far", now.steps_total),
            ("prompt_tokens", "Prompt tokens decoded", now.prompt_tokens_total),
            ("reused_tokens", "Prompt tokens found in the cache", now.reused_tokens_total),
            ("generation_tokens", "Tokens generated", now.generation_tokens_total),
        )


def _tasks() -> int:
    """Open tasks of the loop that asks; 0 outside of any."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0
