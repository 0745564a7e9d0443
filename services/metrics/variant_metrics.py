"""One variant's exposition: Assay's series, alike for every engine, and the engine's own."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

import aiohttp
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.engine.life_cycle import State
from services.engine.supervisor import Supervisor
from services.engines.spec import EngineSpec
from services.gpus.engine_gpu import EngineGpu
from services.gpus.gpu_use import GpuUse, visible_to
from services.gpus.nvml import read_gpus
from services.http.errors import RequestError
from services.metrics.exposition import label_variant, read_values
from services.metrics.series import ENGINE, SERIES
from services.metrics.traffic import Traffic
from services.residency.resident import Resident

# Values of one family by those of its labels, in the table's order.
Values = Mapping[tuple[str, ...], float]
Told = TypeVar("Told")
# Shorter than Prometheus waits: a hung engine must not take what is known of it along.
ENGINE_TIMEOUT_S = 2.0
# Reading the memory of a large process takes the kernel many milliseconds.
SLOW_READ_S = 10.0


class _Kept(Generic[Told]):
    """What a slow function told; read again, in a thread, once it is ``SLOW_READ_S`` old."""

    def __init__(self, value: Told) -> None:
        self._value = value
        self._read_at = -SLOW_READ_S

    async def get(self, read: Callable[[], Told]) -> Told:
        if time.monotonic() - self._read_at >= SLOW_READ_S:
            self._read_at = time.monotonic()
            self._value = await asyncio.to_thread(read)
        return self._value


class _Families(Collector):
    def __init__(self, values: Mapping[str, Values]) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        for name, values in self._values.items():
            row = SERIES[name]
            kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
            family = kind(name, row.text, labels=row.labels)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


class VariantMetrics:
    """All that ``/<variant>/metrics`` tells."""

    def __init__(
        self, supervisor: Supervisor, traffic: Traffic, resident: Resident | None = None
    ) -> None:
        self._supervisor = supervisor
        self._resident = resident
        self._traffic = traffic
        self._memory = _Kept[int | None](None)
        self._gpus = _Kept[list[GpuUse]]([])
        self._held = _Kept[list[EngineGpu]]([])

    async def text(self, session: aiohttp.ClientSession) -> bytes:
        """The exposition format, version 0.0.4.

        Where a figure that we rename is no number, all that the engine told is left out.
        """
        raw = await self._engine_text(session)
        try:
            told = engine_values(raw, self._supervisor.variant.engine)
        except ValueError:
            raw, told = "", {}
        values = {**self._life(), **told, **await self._resources()}
        own = CollectorRegistry(auto_describe=False)
        own.register(_Families(values))
        parts = (generate_latest(own), generate_latest(self._traffic.registry), raw.encode())
        text = b"".join(parts).decode()
        return label_variant(text, self._supervisor.variant.name).encode()

    async def _engine_text(self, session: aiohttp.ClientSession) -> str:
        timeout = aiohttp.ClientTimeout(total=ENGINE_TIMEOUT_S)
        try:
            child = self._supervisor.ready_child()
            url = child.base_url + child.spec.metrics_path
            async with session.get(url, headers=child.headers, timeout=timeout) as response:
                return await response.text("utf-8", "replace") if response.status == 200 else ""
        except (RequestError, aiohttp.ClientError, TimeoutError):
            return ""

    def _life(self) -> dict[str, Values]:
        supervisor = self._supervisor
        status, settings, variant = supervisor.status, supervisor.settings, supervisor.variant
        what = (
            variant.recipe.name,
            variant.engine.name,
            settings.engine_version,
            str(variant.engine.emulated).lower(),
        )
        told: dict[str, Values] = {
            "assay_variant_up": {(): status.state.takes_requests},
            "assay_variant_state": {(state,): state is status.state for state in State},
            "assay_variant_info": {what: 1},
            "assay_engine_restarts_total": {(): supervisor.restarts},
            "assay_wakes_total": {(): self._resident.wakes if self._resident else 0},
            "assay_requests_waiting_for_wake": {
                (): self._resident.waiting if self._resident else 0
            },
            "assay_sequences_limit": {(): settings.max_sequences},
            "assay_requests_limit": {(): settings.places},
        }
        if status.start_s is not None:
            told["assay_engine_start_seconds"] = {(): status.start_s}
        if status.held is not None:
            told["assay_weight_bytes"] = {(): status.held.weight_bytes}
        return told

    async def _resources(self) -> dict[str, Values]:
        """Memory and GPUs; nothing while there is no engine that uses any."""
        try:
            child = self._supervisor.ready_child()
        except RequestError:
            return {}
        memory = await self._memory.get(child.memory_bytes)
        told = gpu_values(await self._gpus.get(_visible_gpus), await self._held.get(child.gpus))
        return told if memory is None else {"assay_memory_bytes": {(): memory}, **told}


def engine_values(exposition: str, engine: EngineSpec) -> dict[str, Values]:
    """The ENGINE series as an engine tells them under its own names.

    Raises:
        ValueError: one of them has no number for a value.
    """
    wanted = {source for sources in engine.series.values() for source in sources}
    found = read_values(exposition, wanted)
    told: dict[str, Values] = {}
    for name, sources in engine.series.items():
        seen = [value for source in sources for value in found.get(source, ())]
        if seen:
            told[name] = {(): max(seen) if ENGINE[name].joined == "max" else sum(seen)}
    return told


def _visible_gpus() -> list[GpuUse]:
    return visible_to(read_gpus(), os.environ)


def gpu_values(gpus: list[GpuUse], held: list[EngineGpu]) -> dict[str, Values]:
    """The GPU series; what no GPU tells gives no family. ``held`` is what the engine holds."""
    own = {gpu.uuid: gpu.memory_bytes for gpu in held}
    figures: dict[str, Callable[[GpuUse], float | None]] = {
        "assay_gpu_used_ratio": lambda gpu: gpu.used_ratio,
        "assay_gpu_memory_used_bytes": lambda gpu: gpu.memory_used_bytes,
        "assay_gpu_memory_bytes": lambda gpu: gpu.memory_bytes,
        "assay_gpu_engine_memory_bytes": lambda gpu: own.get(gpu.uuid),
        "assay_gpu_power_watts": lambda gpu: gpu.power_watts,
        "assay_gpu_energy_joules_total": lambda gpu: gpu.energy_joules,
        "assay_gpu_sm_clock_hertz": lambda gpu: gpu.sm_clock_hertz,
        "assay_gpu_throttled": lambda gpu: None if gpu.throttled is None else bool(gpu.throttled),
    }
    told: dict[str, Values] = {
        name: {(gpu.index, gpu.uuid): value for gpu in gpus if (value := figure(gpu)) is not None}
        for name, figure in figures.items()
    }
    return {name: values for name, values in told.items() if values}
