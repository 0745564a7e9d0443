"""A server that answers completions on an exact schedule: what is measured beyond it is the client.

Runs in a process of its own (``python -m tests.benches.harness.null_server --ttft S --tpot S``), so
that it shares no event loop with what it calibrates, and says on which port. It computes nothing:
the first token comes its TTFT after the request was read, each further one a TPOT after the last,
kept on an absolute schedule so that its own delays do not add up. Whatever asks for no stream gets
a list of its one model, which is all that an engine must say to be ready.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from quantize.jobs.lifeline import guarded
from quantize.root import ROOT

TTFT_S = 0.05
TPOT_S = 0.02
# Padding to the size of a real engine's events.
PADDING = "x" * 150


class NullServer:
    """Answers every question for a stream with as many tokens as asked for, on schedule (s)."""

    def __init__(
        self, *, ttft_s: float = TTFT_S, tpot_s: float = TPOT_S, model: str = "null"
    ) -> None:
        self.ttft_s = ttft_s
        self.tpot_s = tpot_s
        self.model = model

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
            return await self.stream(body, writer, tokens=body["max_tokens"])
        return await answer(writer, 200, {"data": [{"id": self.model}]})

    async def stream(
        self, body: dict[str, Any], writer: asyncio.StreamWriter, *, tokens: int, done: bool = True
    ) -> None:
        """Stream ``tokens`` tokens on schedule, then usage and, if ``done``, the end mark."""
        due = time.monotonic() + self.ttft_s
        begin_stream(writer)
        for _ in range(tokens):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += self.tpot_s
            choice = {"index": 0, "text": "a ", "finish_reason": None}
            _write_event(writer, {"id": PADDING, "choices": [choice]})
            await writer.drain()
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": tokens}
        _write_event(writer, {"id": PADDING, "choices": [], "usage": usage})
        if done:
            write_chunk(writer, b"data: [DONE]\n\n")
        await end_stream(writer)

    async def serve(self, port: int) -> None:
        """Listen on a loopback port (0: any that is free), say which, and serve for ever."""
        async with await asyncio.start_server(self.handle, "127.0.0.1", port) as server:
            print(server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()


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
    writer.write(b"%x\r\n%b\r\n" % (len(content), content))


async def end_stream(writer: asyncio.StreamWriter) -> None:
    """Write a body's last chunk."""
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _write_event(writer: asyncio.StreamWriter, event: dict[str, Any]) -> None:
    write_chunk(writer, b"data: " + json.dumps(event).encode() + b"\n\n")


@contextmanager
def null_server(*, ttft_s: float = TTFT_S, tpot_s: float = TPOT_S) -> Iterator[int]:
    """A null server in a process of its own, until the block ends; yields its port.

    Raises:
        RuntimeError: it does not start.
    """
    module = "tests.benches.harness.null_server"
    words = ["-m", module, "--ttft", str(ttft_s), "--tpot", str(tpot_s)]
    process = subprocess.Popen(
        guarded([sys.executable, *words]),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline()
        if not port:
            raise RuntimeError("the null server did not start")
        yield int(port)
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="null_server")
    parser.add_argument("--ttft", type=float, default=TTFT_S)
    parser.add_argument("--tpot", type=float, default=TPOT_S)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", default="null")
    options = parser.parse_args()
    server = NullServer(ttft_s=options.ttft, tpot_s=options.tpot, model=options.model)
    asyncio.run(server.serve(options.port))


if __name__ == "__main__":
    main()
