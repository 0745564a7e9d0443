"""A stream over a real connection: begun and ended by the loop, written by the engine between.

covers: services/server/answer.py
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import uvicorn

from quantize.artifact.conversation import Conversation
from services.http.sse import SseParser
from services.server.app import Engine, make_app
from services.server.backend import Batch
from services.server.chat_template import ChatTemplate
from services.server.engine_protocol import EngineProtocol
from services.server.sampling import Logits
from services.server.scheduler import Delivery, Scheduler
from services.server.serving import listen
from tests.services.server.gated_backend import GatedBackend

KEY, TOKENS = "key", 600


class Ticking(GatedBackend):
    """Decodes in a tenth of a millisecond."""

    def __init__(self) -> None:
        super().__init__(max_sequences=2)
        self.capacity = replace(self.capacity, context_length=2 * TOKENS)

    def decode(self, batch: Batch) -> Logits:
        time.sleep(1e-4)
        return np.tile(np.array([0, 1, 0, 0], np.float32), (batch.rows, 1))


@asynccontextmanager
async def server() -> AsyncIterator[tuple[int, list[int]]]:
    """Its port, and how many chunks the engine handed over to the loop at a time."""
    loop, backend, handed_over = asyncio.get_running_loop(), Ticking(), list[int]()

    def deliver(delivery: Delivery) -> None:
        handed_over.append(len(delivery))
        for receive, chunk in delivery:
            loop.call_soon_threadsafe(receive, chunk)

    engine = Engine(
        backend=backend,
        scheduler=Scheduler(backend, deliver, max_waiting=2),
        served_name="m",
        chat_template=ChatTemplate(Conversation()),
    )
    with listen("127.0.0.1", 0) as listener:
        # Which its connections inherit: what is not read soon fills it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        app = make_app(engine, KEY, lambda: None)
        config = uvicorn.Config(app, http=EngineProtocol, log_level="warning")
        running = uvicorn.Server(config)
        serving = asyncio.create_task(running._serve([listener]))
        yield listener.getsockname()[1], handed_over
        running.should_exit = True
        await serving


def question(version: str) -> bytes:
    body = f'{{"model":"m","prompt":[0],"max_tokens":{TOKENS},"temperature":0,"stream":true}}'
    head = f"POST /v1/completions HTTP/{version}\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


async def answer(port: int, version: str, pause_s: float) -> bytes:
    """All of an answer, of which the client reads nothing for a while."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, question(version))
        await asyncio.sleep(pause_s)
        received = b""
        while b"[DONE]" not in received[-64:]:
            part = await asyncio.wait_for(loop.sock_recv(client, 1 << 16), 30)
            assert part, received[-200:]
            received += part
    return received


def texts(received: bytes) -> list[bytes]:
    """The events' data, whose events are whole as each is a chunk of its own or the body."""
    _, _, body = received.partition(b"\r\n\r\n")
    lines = b"\n".join(line for line in body.split(b"\n") if line.startswith(b"data: "))
    return SseParser().feed(lines.replace(b"\n", b"\n\n") + b"\n\n")


async def test_the_engine_writes_most_of_a_stream_itself() -> None:
    async with server() as (port, handed_over):
        received = await answer(port, "1.1", 0)
    events = texts(received)
    assert len(events) == TOKENS + 1
    assert events[-1] == b"[DONE]"
    assert sum(handed_over) < TOKENS / 2


async def test_a_client_that_reads_late_gets_all_of_it() -> None:
    async with server() as (port, handed_over):
        received = await answer(port, "1.1", 1.5)
    events = texts(received)
    assert len(events) == TOKENS + 1
    assert all(b'"text":"b"' in event for event in events[:-1])
    assert sum(handed_over) > 2


async def test_without_chunks_of_http_the_loop_writes_all() -> None:
    async with server() as (port, handed_over):
        received = await answer(port, "1.0", 0)
    assert len(texts(received)) == TOKENS + 1
    assert sum(handed_over) == TOKENS
