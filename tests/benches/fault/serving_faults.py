"""Faults of what stands before the engine: its replica is killed, and HAProxy."""

import asyncio
import signal
import time
from contextlib import suppress

import psutil

from tests.benches.fault.recovery import (
    POLL_S,
    begun,
    ending_figures,
    load_s,
    ready,
    recovery,
    recovery_figures,
    strike,
)
from tests.benches.fault.stage import FaultError, Stage
from tests.benches.harness.bench_figures import Figure, at_most

STREAMS = 16
STREAM_TOKENS = 400
# Serve's health check, a new Python process with Ray and Serve in it, and our five seconds.
REPLICA_LIMIT_S = 20.0
# Three failed checks, a new proxy actor, a new HAProxy, and our five seconds.
PROXY_LIMIT_S = 20.0
# What the engine says of the requests it holds.
WORKING = "assay_requests_(running|waiting)"
ORPHAN_LIMIT_S = 2.0
IDLE_LIMIT_S = 1.0


async def kill_replica(stage: Stage) -> list[Figure]:
    """``kill -9`` of the Ray worker, which takes its engine along.

    The gateway still stands and can tell its clients; a stream that came without it can only be
    broken off.
    """
    fault = "worker killed"
    load = await load_s(stage)
    engine, replica = stage.engine(), stage.replica()
    clients = [stage.client(gateway=number % 2 == 1) for number in range(STREAMS)]
    streams = [asyncio.ensure_future(client.stream(STREAM_TOKENS)) for client in clients]
    await begun(clients, STREAMS)
    struck_s = strike(replica, signal.SIGKILL)
    orphan_s = await _gone_after(engine, struck_s)
    seen = await recovery(stage, struck_s)
    outcomes = list(await asyncio.gather(*streams))
    direct, routed = outcomes[::2], outcomes[1::2]
    return [
        *ending_figures(f"{fault}, direct", direct, broken_limit=None),
        *ending_figures(f"{fault}, by the gateway", routed),
        at_most(f"{fault}: its engine outlived it by", orphan_s, "s", ORPHAN_LIMIT_S),
        *recovery_figures(fault, seen, REPLICA_LIMIT_S + load, load, broken_limit=None),
    ]


async def _gone_after(process: psutil.Process, since_s: float) -> float:
    """Seconds until a process is gone; looks for ten."""
    while time.monotonic() - since_s < 10:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            break
        await asyncio.sleep(0.01)
    return time.monotonic() - since_s


async def kill_haproxy(stage: Stage) -> list[Figure]:
    """``kill -9`` of HAProxy: all connections break, the engines must not notice."""
    fault = "HAProxy killed"
    restarts = (await ready(stage))["restarts"]
    engine = stage.engine()
    clients = [stage.client() for _ in range(STREAMS)]
    streams = [asyncio.ensure_future(client.stream(STREAM_TOKENS)) for client in clients]
    await begun(clients, STREAMS)
    struck_s = time.monotonic()
    for worker in stage.haproxy():
        strike(worker, signal.SIGKILL)
    seen = await recovery(stage, struck_s)
    outcomes = list(await asyncio.gather(*streams))
    again = float(str((await ready(stage))["restarts"])) - float(str(restarts))
    lost = 0 if engine.is_running() else 1
    return [
        *ending_figures(fault, outcomes, broken_limit=None),
        *recovery_figures(fault, seen, PROXY_LIMIT_S, broken_limit=None),
        at_most(f"{fault}: engines restarted", again + lost, "count", 0),
        at_most(f"{fault}: engine idle after", await idle_after(stage), "s", IDLE_LIMIT_S),
    ]


async def idle_after(stage: Stage, timeout_s: float = 30) -> float:
    """Seconds until the victim's engine holds no sequence and its relay no request."""
    since_s = time.monotonic()
    while time.monotonic() - since_s < timeout_s:
        with suppress(FaultError):  # It may be too busy to tell.
            working = await stage.metric(WORKING)
            if not working and (await stage.health()).get("in_flight") == 0:
                break
        await asyncio.sleep(POLL_S / 2)
    return time.monotonic() - since_s
