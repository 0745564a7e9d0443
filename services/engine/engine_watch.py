"""Watches a running engine: does it still answer, does it keep to its memory, how long is its log.

Each watch ends with the reason for which the engine must be replaced, or never.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import aiohttp

from services.engine.child import EngineChild
from services.engine.engine_log import PERIOD_S
from services.engine.life_cycle import MOST_MISSES, Watch, is_idle

PROBE_PERIOD_S = 1.0
MEMORY_PERIOD_S = 1.0
Result = TypeVar("Result")


async def until_exit(child: EngineChild) -> str:
    """Wait for the engine's end; returns its exit code in words."""
    assert child.process is not None
    code = await asyncio.to_thread(child.process.wait)
    return f"the engine exited with code {code}"


async def until_hung(
    child: EngineChild,
    session: aiohttp.ClientSession,
    *,
    timeout_s: float,
    is_stalled: Callable[[], bool],
) -> str:
    """Probe the engine until it has not answered for ``timeout_s``; returns the reason.

    A probe may take a third of that; the first is sent up to ``PROBE_PERIOD_S`` late, and an engine
    that computes gets longer (``life_cycle``). Health is asked for first; an engine that holds
    requests, answers none of them and does nothing must complete a token as well: its HTTP server
    may outlive the rest.
    """
    watch, probe_s = Watch(), timeout_s / MOST_MISSES
    clock, idle = _CpuClock(child), False
    while not watch.hung:
        if not watch.misses:
            await asyncio.sleep(min(PROBE_PERIOD_S, probe_s))
            # What it computed before the probe does not excuse that it misses it.
            idle = clock.is_idle()
        asked_s = time.monotonic()
        try:
            async with asyncio.timeout(probe_s):
                answered = await _is_healthy(child, session)
                if answered and is_stalled() and idle:
                    answered = await _completes(child, session)
        except (aiohttp.ClientError, TimeoutError):
            answered = False
        if not answered:
            # One that refuses at once gets as long as one that keeps silent.
            await asyncio.sleep(max(0.0, asked_s + probe_s - time.monotonic()))
        idle = clock.is_idle()
        watch = watch.after(answered=answered, idle=idle)
    return f"{child.spec.title} runs but has not answered for {probe_s * watch.misses:.0f} s"


class _CpuClock:
    """Whether an engine computed since it was last asked."""

    def __init__(self, child: EngineChild) -> None:
        self._child = child
        self._cpu_s, self._at_s = child.cpu_s(), time.monotonic()

    def is_idle(self) -> bool:
        cpu_s, at_s = self._child.cpu_s(), time.monotonic()
        idle = is_idle(cpu_s=cpu_s - self._cpu_s, elapsed_s=at_s - self._at_s)
        self._cpu_s, self._at_s = cpu_s, at_s
        return idle


async def _is_healthy(child: EngineChild, session: aiohttp.ClientSession) -> bool:
    url = child.base_url + child.spec.health_path
    async with session.get(url, headers=child.headers) as answer:
        await answer.read()
        return answer.status == 200


async def _completes(child: EngineChild, session: aiohttp.ClientSession) -> bool:
    url = f"{child.base_url}/v1/completions"
    body = {"model": child.launch.served_name, "prompt": "1", "max_tokens": 1}
    async with session.post(url, json=body, headers=child.headers) as answer:
        await answer.read()
        return answer.status == 200


async def until_too_large(child: EngineChild, memory_gib: float | None) -> str:
    """Read the engine's memory (PSS of all its processes) until it exceeds its bound.

    Limits of the kernel would not do: those on address space count what is only mapped, and
    those of control groups are not ours to set everywhere.
    """
    if memory_gib is None:
        return await _never()
    while True:
        await asyncio.sleep(MEMORY_PERIOD_S)
        size_bytes = await asyncio.to_thread(child.memory_bytes)
        if size_bytes is not None and size_bytes > memory_gib * 2**30:
            return (
                f"{child.spec.title} uses {size_bytes / 2**30:.2f} GiB of the {memory_gib:g} GiB "
                "it may (memory_gib)"
            )


async def keep_log_bounded(child: EngineChild) -> str:
    """Cut the log whenever it is over its limit; never ends."""
    while True:
        await asyncio.sleep(PERIOD_S)
        if child.log.is_over():
            with contextlib.suppress(OSError):
                await asyncio.to_thread(child.log.cut)


async def _never() -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def first_of(*coroutines: Coroutine[Any, Any, Result]) -> Result:
    """The result (or error) of whichever ends first; the others are cancelled and awaited."""
    tasks = [asyncio.ensure_future(item) for item in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
