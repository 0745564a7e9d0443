"""A server that answers completions on an exact schedule: what is measured beyond it is the client.

Runs in a process of its own (``python -m loadtest.null_server --ttft S --tpot S``), so
that it shares no event loop with what it calibrates, and says on which port. It computes nothing:
the first event comes its TTFT after the request was read, each further one a gap after the last,
kept on an absolute schedule so that its own delays do not add up. With ``--pace`` it keeps several
schedules, each below a path of its own (``pace_name``). Whatever asks for no stream gets a list of
its one model, which is all that an engine must say to be ready.
"""

import argparse
import asyncio
import json
import select
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any

from loadtest.client_health import go_first
from quantize.jobs.lifeline import guarded
from quantize.root import ROOT

TTFT_S = 0.05
TPOT_S = 0.02
# Padding to the size of a real engine's events.
PADDING = "x" * 150
# Without its kind, AIPerf takes no event.
_HEAD = {"id": PADDING, "object": "text_completion"}


@dataclass(frozen=True, kw_only=True)
class Pace:
    """A schedule: the first event after ``ttft_s``, then one of so many tokens every ``gap_s``."""

    ttft_s: float
    gap_s: float
    tokens_per_event: int = 1

    def end_s(self, tokens: int) -> float:
        """When the last of so many tokens is due, from the request on."""
        return self.ttft_s + (ceil(tokens / self.tokens_per_event) - 1) * self.gap_s

    @property
    def word(self) -> str:
        """As ``--pace`` takes it."""
        return f"{self.ttft_s!r}:{self.gap_s!r}:{self.tokens_per_event}"


def read_pace(word: str) -> Pace:
    """The pace of a word."""
    ttft_s, gap_s, tokens = word.split(":")
    return Pace(ttft_s=float(ttft_s), gap_s=float(gap_s), tokens_per_event=int(tokens))


def pace_name(place: int) -> str:
    """The first part of the path below which the server keeps its pace ``place`` (from 0)."""
    return f"pace-{place}"


class NullServer:
    """Answers every question for a stream with as many tokens as asked for, on schedule (s).

    Questions below the path of one of ``paces`` are answered by that one.
    """

    def __init__(
        self,
        *,
        ttft_s: float = TTFT_S,
        tpot_s: float = TPOT_S,
        model: str = "null",
        paces: Sequence[Pace] = (),
    ) -> None:
        self.ttft_s = ttft_s
        self.tpot_s = tpot_s
        self.model = model
        self._paces = {pace_name(place): pace for place, pace in enumerate(paces)}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client closes it."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(headers_of(head).get("content-length", 0))
                body = json.loads(await reader.readexactly(length)) if length else {}
                await self.respond(head, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def respond(self, head: bytes, body: Any, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        if body.get("stream"):
            pace = self._paces.get(route_of(head).strip("/").partition("/")[0])
            return await self.stream(body, writer, tokens=body["max_tokens"], pace=pace)
        return await answer(writer, 200, {"data": [{"id": self.model}]})

    async def stream(
        self,
        body: dict[str, Any],
        writer: asyncio.StreamWriter,
        *,
        tokens: int,
        done: bool = True,
        pace: Pace | None = None,
    ) -> None:
        """Stream ``tokens`` tokens on schedule, then usage and, if ``done``, the end mark."""
        pace = pace or Pace(ttft_s=self.ttft_s, gap_s=self.tpot_s)
        begin_stream(writer)
        await _Schedule(writer, pace, tokens).kept()
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": tokens}
        write_event(writer, {**_HEAD, "choices": [], "usage": usage})
        if done:
            write_chunk(writer, b"data: [DONE]\n\n")
        await end_stream(writer)

    async def serve(self, port: int) -> None:
        """Listen on a loopback port (0: any that is free), say which, and serve for ever.

        Several servers may listen on one port: the kernel spreads the connections over them.
        """
        async with await asyncio.start_server(
            self.handle, "127.0.0.1", port, reuse_port=True
        ) as server:
            print(server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()


class _Schedule:
    """Writes the events of one stream when they are due, from now on: one timer after the other.

    A task that slept would cost three times as much, and make the next stream's event late.
    """

    def __init__(self, writer: asyncio.StreamWriter, pace: Pace, tokens: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        self._pace = pace
        self._left = tokens
        self._due_s = self._loop.time() + pace.ttft_s
        self._over = self._loop.create_future()
        self._timer = self._loop.call_at(self._due_s, self._write)

    async def kept(self) -> None:
        """Wait until the last event is written, or nobody is there any more."""
        try:
            await self._over
        finally:
            self._timer.cancel()
        await self._writer.drain()

    def _write(self) -> None:
        tokens = min(self._pace.tokens_per_event, self._left)
        self._writer.write(_token_event(tokens))
        self._left -= tokens
        self._due_s += self._pace.gap_s
        if self._left and not self._writer.is_closing():
            self._timer = self._loop.call_at(self._due_s, self._write)
        elif not self._over.done():
            self._over.set_result(None)


@cache
def _token_event(tokens: int) -> bytes:
    """An event of so many tokens as a chunk."""
    choice = {"index": 0, "text": "a " * tokens, "finish_reason": None}
    return _chunk(_event({**_HEAD, "choices": [choice]}))


class PreciseSelector(selectors.DefaultSelector):
    """Waits as long as it is told to: epoll alone rounds up to whole milliseconds."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready, at the latest after so many seconds."""
        if timeout is not None and timeout > 0 and isinstance(self, selectors.EpollSelector):
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


def route_of(head: bytes) -> str:
    """The path that a request names."""
    return head.split(b" ", 2)[1].decode()


def headers_of(head: bytes) -> dict[str, str]:
    """A request's headers, their names in lower case."""
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in pairs if name}


async def answer(
    writer: asyncio.StreamWriter, status: int, content: object, *, kind: str = "application/json"
) -> None:
    """Write a whole answer: bytes as they are, anything else as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    head = f"HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


def begin_stream(writer: asyncio.StreamWriter) -> None:
    """Write the head of an answer in events."""
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )


def write_chunk(writer: asyncio.StreamWriter, content: bytes) -> None:
    """Write one chunk of a body."""
    writer.write(_chunk(content))


async def end_stream(writer: asyncio.StreamWriter) -> None:
    """Write a body's last chunk."""
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def write_event(writer: asyncio.StreamWriter, event: dict[str, Any]) -> None:
    """Write one event as a chunk."""
    write_chunk(writer, _event(event))


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def _event(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


@contextmanager
def null_server(
    *,
    ttft_s: float = TTFT_S,
    tpot_s: float = TPOT_S,
    paces: Sequence[Pace] = (),
    processes: int = 1,
) -> Iterator[int]:
    """A null server in so many processes of its own, until the block ends; yields its port.

    Raises:
        RuntimeError: it does not start.
    """
    words = ["--first", "--ttft", str(ttft_s), "--tpot", str(tpot_s)]
    words += [f"--pace={pace.word}" for pace in paces]
    with ExitStack() as servers:
        port = servers.enter_context(server_process("loadtest.null_server", *words))
        for _ in range(processes - 1):
            words_there = (*words, "--port", str(port))
            servers.enter_context(server_process("loadtest.null_server", *words_there))
        yield port


@contextmanager
def server_process(module: str, *words: str) -> Iterator[int]:
    """A module that serves and says its port first, in a process of its own until the block ends.

    Raises:
        RuntimeError: it does not start.
    """
    process = subprocess.Popen(
        guarded([sys.executable, "-m", module, *words]),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline()
        if not port:
            raise RuntimeError(f"{module} did not start")
        yield int(port)
    finally:
        process.terminate()
        process.communicate()


def precise_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose timers ring when they are due."""
    return asyncio.SelectorEventLoop(PreciseSelector())


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="null_server")
    parser.add_argument("--ttft", type=float, default=TTFT_S)
    parser.add_argument("--tpot", type=float, default=TPOT_S)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", default="null")
    parser.add_argument("--first", action="store_true", help="run before all others")
    parser.add_argument("--pace", type=read_pace, action="append", default=[])
    options = parser.parse_args()
    if options.first:
        go_first()
    server = NullServer(
        ttft_s=options.ttft, tpot_s=options.tpot, model=options.model, paces=options.pace
    )
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(server.serve(options.port))


if __name__ == "__main__":
    main()
