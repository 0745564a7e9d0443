"""Faults of clients: a thousand that leave in mid-stream, and some that do not read."""

import asyncio
import socket
import time
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit

import psutil

from tests.benches.fault.fault_clients import Client
from tests.benches.fault.recovery import begun, ready
from tests.benches.fault.serving_faults import WORKING, idle_after
from tests.benches.fault.stage import FaultError, Stage
from tests.benches.harness.bench_figures import Figure, at_most
from tests.benches.harness.raw_client import post

ROUNDS = 10
CLIENTS = 1000
IDLE_LIMIT_S = 1.0
# What ten rounds may add to a process, after the first ones have filled its caches and pools.
WARM_ROUNDS = 3
DESCRIPTORS_LIMIT = 8
MEMORY_LIMIT_MIB = 16.0
TASKS_LIMIT = 8
SLOW_READERS = 8
SLOW_TOKENS = 600
GENERATED_S = 60
# All buffers between an engine and a client that does not read: two proxies, four sockets.
SLOW_LIMIT_MIB = 2.0
READERS = 4
READER_TOKENS = 32
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process holds."""

    descriptors: int
    memory_mib: float


def usage(process: psutil.Process) -> Usage:
    """What a process holds now (memory as PSS).

    Raises:
        FaultError: it is gone.
    """
    try:
        memory = process.memory_full_info().pss / MIB
        return Usage(descriptors=process.num_fds(), memory_mib=memory)
    except psutil.Error as error:
        raise FaultError(f"a process ended that should have stayed: {error}") from None


async def leave(stage: Stage) -> list[Figure]:
    """Ten rounds of a thousand clients that ask for a stream and leave in the middle."""
    fault = "clients leave"
    await ready(stage)
    watched = {"replica": stage.replica(), "engine": stage.engine()}
    kept: dict[str, list[Usage]] = {name: [] for name in watched}
    tasks: dict[str, list[float]] = {name: [] for name in watched}
    idle_s, in_flight = [], []
    for _ in range(ROUNDS):
        left, after_s = await _leave_once(stage)
        in_flight.append(left)
        idle_s.append(after_s)
        for name, process in watched.items():
            kept[name].append(usage(process))
        tasks["engine"].append(await stage.metric("engine_tasks"))
        tasks["replica"].append(float(str((await stage.health())["tasks"])))
    figures = [
        at_most(f"{fault}: in flight as they left, least", min(in_flight), "count", None, CLIENTS),
        at_most(f"{fault}: engine idle after, median", median(idle_s), "s", IDLE_LIMIT_S),
        at_most(f"{fault}: engine idle after, slowest", max(idle_s), "s", IDLE_LIMIT_S),
    ]
    for name, usages in kept.items():
        grown = tasks[name][-1] - tasks[name][WARM_ROUNDS - 1]
        figures += _growth(f"{fault}: {name}", usages)
        figures.append(at_most(f"{fault}: {name}, tasks added", grown, "count", TASKS_LIMIT))
    return figures


def _growth(name: str, usages: list[Usage]) -> list[Figure]:
    """What was added between the warm rounds and the last ones."""
    before, after = usages[WARM_ROUNDS - 1], usages[-1]
    descriptors = after.descriptors - before.descriptors
    memory = after.memory_mib - before.memory_mib
    return [
        at_most(f"{name}, descriptors added", descriptors, "count", DESCRIPTORS_LIMIT),
        at_most(f"{name}, memory added", memory, "MiB", MEMORY_LIMIT_MIB, before.memory_mib),
    ]


async def _leave_once(stage: Stage) -> tuple[float, float]:
    """One round: requests in flight as their clients left, seconds until the engine was idle."""
    clients = [stage.client() for _ in range(CLIENTS)]
    streams = [asyncio.ensure_future(client.stream(900)) for client in clients]
    await begun(clients, stage.service.plan.serving.max_sequences)
    # The rest must have arrived, to wait for a place.
    deadline = time.monotonic() + 20
    in_flight = 0.0
    while in_flight < CLIENTS and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        in_flight = float(str((await stage.health()).get("in_flight", 0)))
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    return in_flight, await idle_after(stage)


class SlowReader:
    """A client that asks for a long stream and reads not one byte of it."""

    def __init__(self, stage: Stage) -> None:
        address = urlsplit(stage.service.url)
        body = {
            "model": stage.victim,
            "prompt": "The capital of",
            "max_tokens": SLOW_TOKENS,
            "ignore_eos": True,
            "stream": True,
            "logprobs": 5,
        }
        self._socket = socket.socket()
        # The smallest that the kernel gives, so that the server's side fills up at once.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._socket.connect((address.hostname, address.port))
        self._socket.sendall(post(f"/{stage.victim}/v1/completions", "", body))

    def close(self) -> None:
        """Leave."""
        self._socket.close()


async def read_nothing(stage: Stage) -> list[Figure]:
    """Clients that read nothing, beside others that do."""
    fault = "slow readers"
    await ready(stage)
    watched = {"replica": stage.replica(), "engine": stage.engine()}
    alone_s = await _read_together(stage)
    before = {name: usage(process) for name, process in watched.items()}
    slow = [SlowReader(stage) for _ in range(SLOW_READERS)]
    try:
        await _until_generated(stage)
        beside_s = await _read_together(stage)
        after = {name: usage(process) for name, process in watched.items()}
    finally:
        for reader in slow:
            reader.close()
    idle_s = await idle_after(stage)
    figures = [
        at_most(f"{fault}: time of the others", beside_s, "s", 1.5 * alone_s + 0.1, alone_s),
        at_most(f"{fault}: engine idle after they left", idle_s, "s", IDLE_LIMIT_S),
    ]
    for name in watched:
        each = (after[name].memory_mib - before[name].memory_mib) / SLOW_READERS
        figures.append(at_most(f"{fault}: {name}, memory per reader", each, "MiB", SLOW_LIMIT_MIB))
    return figures


async def _until_generated(stage: Stage) -> None:
    """Wait until the engine has generated all that the slow ones asked for.

    They hold no place in it then, but all of their answer is under way.

    Raises:
        FaultError: it does not get there within ``GENERATED_S``.
    """
    try:
        async with asyncio.timeout(GENERATED_S):
            while await stage.metric("assay_requests_running") < SLOW_READERS:
                await asyncio.sleep(0.02)
            while await stage.metric(WORKING):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise FaultError(
            f"{stage.victim} has not generated for {SLOW_READERS} slow readers in {GENERATED_S} s"
        ) from None


async def _read_together(stage: Stage) -> float:
    """Median time of a few clients' streams, three times one after another."""
    times = []
    for _ in range(3):
        clients: list[Client] = [stage.client() for _ in range(READERS)]
        outcomes = await asyncio.gather(*(client.stream(READER_TOKENS) for client in clients))
        times += [outcome.end_s - outcome.sent_s for outcome in outcomes]
    return median(times)
