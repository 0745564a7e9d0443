"""A server that answers completions on an exact schedule: what is measured beyond it is the client.

Runs in a process of its own (``python -m tests.benches.harness.null_server PORT_FILE PARENT_PID
TTFT
TPOT``, in seconds), so that it shares no event loop with what it calibrates, and ends with its
parent. It computes nothing: the first token comes its TTFT after the request was read, each further
one a TPOT after the last, kept on an absolute schedule so that its own delays do not add up.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

TTFT_S = 0.05
TPOT_S = 0.02
# Padding to the size of a real engine's events.
PADDING = "x" * 150


class NullServer:
    """Answers every ``POST`` with as many tokens as asked for, on schedule (seconds)."""

    def __init__(self, *, ttft_s: float = TTFT_S, tpot_s: float = TPOT_S) -> None:
        self.ttft_s = ttft_s
        self.tpot_s = tpot_s

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client closes it."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = _content_length(head)
                body = json.loads(await reader.readexactly(length)) if length else {}
                await self.respond(head.split(b" ", 2)[1].decode(), body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def respond(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        await self.stream(body, writer, tokens=body["max_tokens"])

    async def stream(
        self, body: dict[str, Any], writer: asyncio.StreamWriter, *, tokens: int, done: bool = True
    ) -> None:
        """Stream ``tokens`` tokens on schedule, then usage and, if ``done``, the end mark."""
        due = time.monotonic() + self.ttft_s
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(tokens):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += self.tpot_s
            choice = {"index": 0, "text": "a ", "finish_reason": None}
            _write_event(writer, {"id": PADDING, "choices": [choice]})
            await writer.drain()
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": tokens}
        _write_event(writer, {"id": PADDING, "choices": [], "usage": usage})
        if done:
            _write_chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def serve(self, announce: Path, parent_pid: int) -> None:
        """Listen on a free loopback port, write it to ``announce``, and serve the parent."""
        server = await asyncio.start_server(self.handle, "127.0.0.1", 0)
        temporary = announce.with_suffix(".partial")
        temporary.write_text(str(server.sockets[0].getsockname()[1]))
        temporary.replace(announce)
        async with server:
            # A parent's death wakes nobody, so it is asked for.
            while os.getppid() == parent_pid:
                await asyncio.sleep(0.2)


def _content_length(head: bytes) -> int:
    for line in head.lower().splitlines():
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0


def _write_event(writer: asyncio.StreamWriter, event: dict[str, Any]) -> None:
    _write_chunk(writer, b"data: " + json.dumps(event).encode() + b"\n\n")


def _write_chunk(writer: asyncio.StreamWriter, content: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(content), content))


if __name__ == "__main__":
    port_file, parent_pid, ttft_s, tpot_s = sys.argv[1:]
    server = NullServer(ttft_s=float(ttft_s), tpot_s=float(tpot_s))
    asyncio.run(server.serve(Path(port_file), int(parent_pid)))
