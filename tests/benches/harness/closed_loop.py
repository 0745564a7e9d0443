"""A load generator that costs next to nothing: raw bytes in, timed, and read only afterwards.

A model that decodes a token in 0.7 ms leaves a client on the same machine no time for JSON. Answers
are kept as bytes until the clock has stopped; ``answer.py`` says what is in them.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_HEAD_END = b"\r\n\r\n"
_CHUNKS_END = b"\r\n0\r\n\r\n"


class ClientError(RuntimeError):
    """A server did not answer, or broke off."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """One answer as it came, with its head; ``first_s`` is when its first body bytes came."""

    raw: bytes
    started_s: float
    first_s: float
    ended_s: float


class _Connection(asyncio.Protocol):
    """One kept-alive connection: a request at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[Received] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[Received]:
        """Send a request; the future is its answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._parts: list[bytes] = []
        self._tail = b""
        self._left: int | None = None
        self._first_s = 0.0
        self._started_s = time.perf_counter()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._parts.append(data)
        if not self._first_s:
            head, end, body = b"".join(self._parts).partition(_HEAD_END)
            if not end or not (body or _length(head) == 0):
                return
            self._first_s, self._left, data = now, _length(head), body
            self._tail = b"\r\n"
        if self._left is not None:
            self._left -= len(data)
            ends = self._left <= 0
        else:
            self._tail = (self._tail + data)[-len(_CHUNKS_END) :]
            ends = self._tail == _CHUNKS_END
        if ends and self._answer is not None:
            raw = b"".join(self._parts)
            found = Received(raw=raw, started_s=self._started_s, first_s=self._first_s, ended_s=now)
            self._answer.set_result(found)

    def connection_lost(self, _error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ClientError("the server closed the connection"))

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


def _length(head: bytes) -> int | None:
    """The body's length; None where it comes in chunks."""
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return None


def post(path: str, key: str, body: Mapping[str, object]) -> bytes:
    """A whole HTTP request."""
    content = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def closed_loop(
    port: int, requests: Sequence[bytes], concurrency: int, timeout_s: float
) -> list[Received]:
    """Send all requests, ``concurrency`` at a time, each when another is answered.

    Raises:
        ClientError: a connection broke, or it took longer than ``timeout_s``.
    """
    try:
        return asyncio.run(asyncio.wait_for(_loop(port, requests, concurrency), timeout_s))
    except TimeoutError:
        raise ClientError(f"not answered within {timeout_s:.0f} s") from None
    except OSError as error:
        raise ClientError(str(error)) from None


async def _loop(port: int, requests: Sequence[bytes], concurrency: int) -> list[Received]:
    left = iter(requests)
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(_Connection, "127.0.0.1", port))[1]
        for _ in range(concurrency)
    ]

    async def work(connection: _Connection) -> list[Received]:
        return [await connection.ask(request) for request in left]

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(connection)) for connection in connections]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for connection in connections:
            connection.close()
    return [received for task in tasks for received in task.result()]
