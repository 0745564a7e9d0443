"""Faults of an engine: it is killed under load, it hangs, it fills its log."""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

from deploy.service import RUN_DIR
from services.engine.engine_log import LIMIT_BYTES, PERIOD_S
from tests.benches.fault.outcomes import Outcome
from tests.benches.fault.recovery import (
    begun,
    ending_figures,
    load_s,
    ready,
    recovery,
    recovery_figures,
    strike,
)
from tests.benches.fault.stage import Stage
from tests.benches.harness.bench_figures import Figure, at_most

STREAMS = 32
STREAM_TOKENS = 600
RECOVERY_LIMIT_S = 5.0
# From the fault until the last open request has ended.
END_LIMIT_S = 2.0
FLOOD_S = 4.0
FLOOD_LINE = b"the same warning once more, as a library in a loop would print it\n" * 1024
MIB = 2**20


async def kill_engine(stage: Stage) -> list[Figure]:
    """``kill -9`` of the engine under 32 streams; half of them wait for a place."""
    fault = "engine killed"
    load = await load_s(stage)
    clients = [stage.client(gateway=number % 2 == 1) for number in range(STREAMS)]
    streams = [asyncio.ensure_future(client.stream(STREAM_TOKENS)) for client in clients]
    running = stage.service.plan.serving.max_sequences
    await begun(clients, running)
    neighbour = asyncio.ensure_future(_neighbour(stage))
    struck_s = strike(stage.engine(), signal.SIGKILL)
    seen = await recovery(stage, struck_s)
    outcomes = list(await asyncio.gather(*streams))
    neighbour.cancel()
    bystanders = await neighbour
    last_s = max(outcome.end_s for outcome in outcomes) - struck_s
    failed = [outcome for outcome in bystanders if outcome.ending != "finished"]
    return [
        *ending_figures(fault, outcomes),
        at_most(f"{fault}: last open request ended after", last_s, "s", END_LIMIT_S),
        *recovery_figures(fault, seen, RECOVERY_LIMIT_S + load, load),
        at_most(f"{fault}: neighbour's answers", len(bystanders), "count", None),
        at_most(f"{fault}: neighbour's failures", len(failed), "count", 0),
    ]


async def _neighbour(stage: Stage) -> list[Outcome]:
    """Use the neighbour until cancelled; returns what came of it."""
    outcomes: list[Outcome] = []
    try:
        while True:
            outcomes.append(await stage.client(stage.neighbour).complete(8))
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        return outcomes


async def hang_engine(stage: Stage) -> list[Figure]:
    """SIGSTOP of the engine under streams: it lives, holds its connections, and answers nothing."""
    fault = "engine hangs"
    load = await load_s(stage)
    clients = [stage.client() for _ in range(8)]
    streams = [asyncio.ensure_future(client.stream(STREAM_TOKENS)) for client in clients]
    await begun(clients, len(clients))
    struck_s = strike(stage.engine(), signal.SIGSTOP)
    outcomes = list(await asyncio.gather(*streams))
    noticed_s = max(outcome.end_s for outcome in outcomes) - struck_s
    seen = await recovery(stage, struck_s)
    hang_s = stage.service.plan.serving.hang_timeout_s
    return [
        *ending_figures(fault, outcomes),
        at_most(f"{fault}: noticed after", noticed_s, "s", hang_s + 2, hang_s),
        *recovery_figures(fault, seen, hang_s + RECOVERY_LIMIT_S + load, load),
    ]


class _Flood:
    """Writes into an engine's own standard output, as fast as the disk takes it."""

    def __init__(self, output: Path, folder: Path) -> None:
        self.written_bytes = 0
        self.peak_bytes = 0
        self._output = output
        self._folder = folder
        self._thread = threading.Thread(target=self._write, name="flood", daemon=True)

    async def run(self) -> None:
        """Flood for ``FLOOD_S`` seconds and watch the disk."""
        self._thread.start()
        while self._thread.is_alive():
            self.peak_bytes = max(self.peak_bytes, folder_bytes(self._folder))
            await asyncio.sleep(PERIOD_S / 4)
        self._thread.join()

    def _write(self) -> None:
        ends_s = time.monotonic() + FLOOD_S
        with self._output.open("ab", buffering=0) as stream:
            while time.monotonic() < ends_s:
                self.written_bytes += os.write(stream.fileno(), FLOOD_LINE)


def folder_bytes(folder: Path) -> int:
    """Disk in use by the files of a folder and of those below it."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512 if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


async def fill_log(stage: Stage) -> list[Figure]:
    """A flood of the engine's log; the disk must not fill up and the engine not stall."""
    fault = "log flooded"
    restarts = (await ready(stage))["restarts"]
    before = await _token_s(stage)
    flood = _Flood(Path(f"/proc/{stage.engine().pid}/fd/1"), RUN_DIR / "logs")
    flooding = asyncio.ensure_future(flood.run())
    await asyncio.sleep(FLOOD_S / 4)
    during = await _token_s(stage)
    await flooding
    await asyncio.sleep(3 * PERIOD_S)
    again = float(str((await ready(stage))["restarts"])) - float(str(restarts))
    written, kept = flood.written_bytes / MIB, folder_bytes(RUN_DIR / "logs") / MIB
    # Both logs of both engines, and what is written until the watch looks again.
    bound = 4 * LIMIT_BYTES / MIB + 4 * PERIOD_S * written / FLOOD_S
    return [
        at_most(f"{fault}: written", written, "MiB", None),
        at_most(f"{fault}: most on the disk", flood.peak_bytes / MIB, "MiB", bound, written),
        at_most(f"{fault}: on the disk afterwards", kept, "MiB", 4 * LIMIT_BYTES / MIB, written),
        at_most(f"{fault}: time per token", during * 1000, "ms", None, before * 1000),
        at_most(f"{fault}: restarts of the engine", again, "count", 0),
    ]


async def _token_s(stage: Stage) -> float:
    """Time per token of one stream, the whole request taken."""
    tokens = 64
    outcome = await stage.client().stream(tokens)
    return (outcome.end_s - outcome.sent_s) / tokens
