"""A fake endpoint for the load test's own machinery: exact tokens, and faults on demand."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.benches.harness.null_server import NullServer

FAULTS = ("429", "500", "early", "no_done", "broken", "error_event")


class FakeEngine(NullServer):
    """Serves every variant; what it was asked is kept in ``asked`` by variant.

    ``faults`` names, per variant, what befalls each third request in turn; ``states`` what the
    health route says.
    """

    def __init__(self) -> None:
        super().__init__(ttft_s=0.01, tpot_s=0.002)
        self.asked: dict[str, list[dict[str, Any]]] = {}
        self.faults: dict[str, tuple[str, ...]] = {}
        self.states: dict[str, str] = {}
        self.artifact_sha256 = "a" * 64
        self.port = 0

    async def respond(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        """Answer a health question or a completion, or do what the fault says."""
        variant, route = path.strip("/").split("/", 1)
        if route == "healthz":
            await _answer(writer, 200, self.health(variant))
            return
        asked = self.asked.setdefault(variant, [])
        asked.append(body)
        faults, tokens = self.faults.get(variant, ()), body["max_tokens"]
        turn, rest = divmod(len(asked), 3)
        match faults[turn % len(faults)] if faults and rest == 0 else None:
            case "429":
                await _answer(writer, 429, {"error": {"message": "the queue is full"}})
            case "500":
                await _answer(writer, 500, {"error": {"message": "the engine is gone"}})
            case "early":
                await self.stream(body, writer, tokens=tokens - 1)
            case "no_done":
                await self.stream(body, writer, tokens=tokens, done=False)
            case "broken":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n")
                writer.close()
            case "error_event":
                await _answer(writer, 200, {"error": {"message": "out of memory"}}, event=True)
            case _:
                await self.stream(body, writer, tokens=tokens)

    def health(self, variant: str) -> dict[str, Any]:
        """What ``/<variant>/healthz`` says."""
        return {
            "variant": variant,
            "recipe": variant,
            "engine": "fake",
            "state": self.states.get(variant, "ready"),
            "artifact_sha256": self.artifact_sha256,
            "engine_version": "1",
            "memory_bytes": 1000 + len(self.asked.get(variant, ())),
            "held_weight_bytes": 500,
            "capabilities": [],
        }


async def _answer(
    writer: asyncio.StreamWriter, status: int, content: dict[str, Any], *, event: bool = False
) -> None:
    body = json.dumps(content).encode()
    if event:
        body = b"data: " + body + b"\n\n"
    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
    await writer.drain()


@contextmanager
def running_engine() -> Iterator[FakeEngine]:
    """A fake engine on a free port, in a thread of its own."""
    engine, loop, ready = FakeEngine(), asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        async with await asyncio.start_server(engine.handle, "127.0.0.1", 0) as server:
            engine.port = server.sockets[0].getsockname()[1]
            ready.set()
            await stop.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield engine
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
